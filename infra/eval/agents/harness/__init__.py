"""The cascade that people build today: voice activity, turn end, recogniser, language model, synthesiser.

Each stage has a file; ``session`` puts them together for one conversation, ``agent`` loads what they share. No
framework is used: the values that matter are the defaults of Pipecat 1.14 and LiveKit Agents, named where they stand.
"""
