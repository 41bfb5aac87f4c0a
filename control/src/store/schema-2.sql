-- Schema 2: what the groups and the admin right of a token rest on, and in milliseconds how long.
ALTER TABLE tokens ADD COLUMN rights TEXT NOT NULL DEFAULT 'own' CHECK (rights IN ('own', 'configured', 'claimed'));
ALTER TABLE tokens ADD COLUMN rights_end INTEGER;
