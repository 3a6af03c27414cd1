"""Topics into tables: each message ends in a table or, with every reason, in the topic's dead letters. Nothing is dropped."""
