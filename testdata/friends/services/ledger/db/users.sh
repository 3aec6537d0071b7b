# The server is initialised once, when its volume is new. The image's own variables say as whom to log in.
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  -v reports="$REPORTS_DB" -v writer="$WRITER_PASSWORD" -v reader="$READER_PASSWORD" <<'SQL'
CREATE ROLE writer LOGIN PASSWORD :'writer';
CREATE ROLE reader LOGIN PASSWORD :'reader';
CREATE SCHEMA books AUTHORIZATION writer;
CREATE DATABASE :"reports";
\connect :"reports"
CREATE TABLE totals (year int PRIMARY KEY, total numeric);
GRANT SELECT ON totals TO reader;
SQL
