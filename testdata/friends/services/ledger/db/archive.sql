CREATE TABLE entries (id INT PRIMARY KEY, text VARCHAR(200));
INSERT INTO entries VALUES (1, 'opened');
