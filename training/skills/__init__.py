"""What nano can do beyond answering a turn: the words, phrasings and free speech that its training sessions are made of."""
