"""A model without a mind of its own, which reads aloud what the background answers: it decides *what* the voice says in
suite ``speech``. It is served by the product's own interaction worker, with the product's own voice."""
