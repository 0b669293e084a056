"""`make compose-test`: docker-compose.yaml brought up, used, broken, backed up, upgraded, and checked."""
