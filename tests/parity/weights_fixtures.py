"""Fixtures of the weight readers: checkpoints written by torch.save and by the safetensors package, and hostile ones.

Needs torch 2.11.0, safetensors 0.6 or newer and numpy. Run it from the repository root:
    python tests/parity/weights_fixtures.py
It writes tests/parity/fixtures/weights/. Every readable checkpoint NAME.pt has NAME.safetensors beside it, with the tensors that must come out.
"""

import collections
import io
import pathlib
import sys
import types
import zipfile

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "weights"


def flat(tree, prefix=""):
    """The tensors of nested dictionaries under names joined with dots."""
    found = {}
    for key, value in tree.items():
        if isinstance(value, torch.Tensor):
            found[prefix + key] = value.detach().clone().contiguous()
        elif isinstance(value, dict):
            found.update(flat(value, prefix + key + "."))
    return found


def write(name, checkpoint, expected):
    torch.save(checkpoint, FOLDER / f"{name}.pt")
    save_file(flat(expected), FOLDER / f"{name}.safetensors")


def plain():
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(4, 6, generator=generator)
    tensors = collections.OrderedDict()
    tensors["float32"] = values
    tensors["float16"] = values.half()
    tensors["bfloat16"] = values.bfloat16()
    tensors["float64"] = values.double()
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8):
        tensors[str(dtype).split(".")[1]] = torch.arange(-5, 5).to(dtype)
    tensors["uint8"] = torch.arange(250, 256).to(torch.uint8)
    tensors["bool"] = values > 0
    tensors["scalar"] = torch.tensor(1.5)
    tensors["empty"] = torch.zeros(3, 0, 2)
    tensors["größe.重み"] = torch.ones(2)
    return tensors


def views():
    base = torch.arange(120, dtype=torch.float32).view(2, 3, 4, 5)
    return {
        "whole": base,
        "transposed": base.transpose(1, 3),
        "permuted": base.permute(3, 0, 2, 1),
        "row": base[1, 2],
        "stepped": base[:, ::2, 1:, ::3],
        "channels_last": base.to(memory_format=torch.channels_last),
        "diagonal": torch.arange(16).view(4, 4).diagonal(),
        "windows": torch.arange(10, dtype=torch.float32)[:8].unfold(0, 2, 2),
        "tied": base,
    }


class Callback:
    """Stands for the foreign objects of training frameworks; moved to a module that no reader has."""

    def __init__(self):
        self.best = {"score": 0.5, "path": "x.ckpt"}
        self.tensor = torch.ones(2)


def framework_checkpoint():
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    package = types.ModuleType("pytorch_lightning")
    callbacks = types.ModuleType("pytorch_lightning.callbacks")
    sys.modules.update({m.__name__: m for m in (package, callbacks, module)})
    Callback.__module__ = module.__name__
    Callback.__qualname__ = "Callback"
    module.Callback = Callback
    import numpy

    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(5, 4, generator=torch.Generator().manual_seed(2))).sum().backward()
    optimizer.step()
    states = network.state_dict()
    return {
        "epoch": 3,
        "global_step": 875000,
        "pytorch-lightning_version": "1.4.2",
        "learning_rate": 0.25,
        "finished": True,
        "state_dict": states,
        "callbacks": {Callback: {"best": numpy.float64(0.5), "monitor": None}, "object": Callback()},
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": {"sizes": torch.Size([1, 2]), "dtype": torch.float16, "set": {1, 2}, "range": range(3), "big": 1 << 100, "bytes": b"x"},
    }, states


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def archive(path, data, storages, order=b"little", extra=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        out.writestr("archive/data.pkl", data)
        out.writestr("archive/byteorder", order)
        for key, value in storages.items():
            out.writestr(f"archive/data/{key}", value)
        for name, value in extra:
            out.writestr(name, value)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    write("plain", plain(), plain())
    write("views", views(), views())
    parameters = {"weight": torch.nn.Parameter(torch.randn(3, 2)), "buffer": torch.nn.Parameter(torch.arange(3.0), requires_grad=False)}
    write("parameters", parameters, parameters)
    nested = {"state_dict": {"state_dict": {"model": {"inner": {"weight": torch.ones(2)}}, "other.weight": torch.zeros(3)}, "lr": 0.1}, "version": 2}
    write("nested", nested, nested["state_dict"]["state_dict"])
    network, states = framework_checkpoint()
    write("framework", network, states)

    torch.save({"a": torch.ones(2)}, FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.ones(2)}, FOLDER / "protocol4.pt", pickle_protocol=4)
    torch.save(torch.nn.Linear(2, 2), FOLDER / "module.pt")
    torch.save({"lr": 0.1}, FOLDER / "no_tensors.pt")
    torch.save(torch.ones(2), FOLDER / "bare_tensor.pt")
    torch.save({"c": torch.ones(2, dtype=torch.complex64), "f": torch.ones(2)}, FOLDER / "complex.pt")
    torch.save({"wide": torch.ones(1).expand(1000), "ok": torch.ones(2)}, FOLDER / "broadcast.pt")

    import os

    torch.save({"a": torch.ones(2), "x": Call(os.system, "touch attacked")}, FOLDER / "attack_system.pt")
    torch.save({"a": torch.ones(2), "x": Call(eval, "1")}, FOLDER / "attack_eval.pt")

    with zipfile.ZipFile(FOLDER / "plain.pt") as source, zipfile.ZipFile(FOLDER / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as out:
        for item in source.infolist():
            out.writestr(item.filename, source.read(item))
    big = io.BytesIO()
    torch.save({"a": torch.ones(2)}, big)
    with zipfile.ZipFile(big) as source:
        data = source.read("archive/data.pkl")
        storage = source.read("archive/data/0")
    archive(FOLDER / "big_endian.pt", data, {"0": storage}, order=b"big")
    archive(FOLDER / "repacked.pt", data, {"0": storage})
    save_file({"a": torch.ones(2)}, FOLDER / "repacked.safetensors")
    archive(FOLDER / "no_storage.pt", data, {})
    archive(FOLDER / "short_storage.pt", data, {"0": storage[:-1]})
    archive(FOLDER / "script.pt", data, {"0": storage}, extra=[("archive/constants.pkl", b"")])

    tensors = {"b": torch.arange(6, dtype=torch.float16).view(2, 3), "a": torch.tensor([1.0, -2.0]), "c": torch.tensor([True]), "d": torch.tensor(7)}
    tensors.update(e=torch.zeros(2, 0, dtype=torch.bfloat16), f=torch.arange(3, dtype=torch.uint8), g=torch.ones(2, dtype=torch.float8_e4m3fn))
    save_file(tensors, FOLDER / "reference.safetensors", metadata={"format": "pt"})
    for file in FOLDER.iterdir():
        file.chmod(0o644)


if __name__ == "__main__":
    main()
