-- moved_to --
SELECT value FROM setting WHERE name = 'moved_to'

-- mark_moved --
INSERT INTO setting (name, value) VALUES ('moved_to', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- take_back --
DELETE FROM setting WHERE name = 'moved_to' RETURNING value
