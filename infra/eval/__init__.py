"""The behaviour report: scripted scenarios played through the client protocol, scored from what a client received."""
