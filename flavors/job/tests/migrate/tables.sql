create table if not exists orders (id integer primary key);
