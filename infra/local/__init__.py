"""The whole pipeline on one machine, without Docker: Kafka, Redis, topics, services, and who looks after them."""
