"""Writes a checkpoint directory in the official layout: safetensors, index, config.json and the tokenizer's files.

The rounding was done in training already, so nothing is lost here: parameters are packed, not quantised anew.
"""
import json
import pathlib
import shutil
import sys

import torch

import formats

def e4m3_codes(values):
    """Exact E4M3 values -> their bytes."""
    bits = values.contiguous().view(torch.int32)
    sign = (bits >> 24) & 0x80
    magnitude = values.abs()
    normal = ((bits & 0x7FFFFFFF) >> 20) - ((127 - 7) << 3)
    subnormal = (magnitude * 512).to(torch.int32)
    return (sign | torch.where(magnitude >= 2.0 ** -6, normal, subnormal)).to(torch.uint8)


def e2m1_codes(values):
    """Exact E2M1 values -> packed pairs, the first in the low half of a byte."""
    grid = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6])
    codes = torch.searchsorted(grid, values.abs().contiguous()) | (values < 0).to(torch.int64) << 3
    return (codes[..., 0::2] | codes[..., 1::2] << 4).to(torch.uint8)


def e8m0_codes(scale):
    return ((scale.contiguous().view(torch.int32) >> 23) & 0xFF).to(torch.uint8)


def add(tensors, name, dtype, shape, data):
    tensors[name] = (dtype, list(shape), data)


def add_weight(tensors, name, kind, w):
    """A parameter, with its scales beside it where the format has some."""
    base = name[:-len(".weight")] if name.endswith(".weight") else name
    if kind == "f32":
        add(tensors, name, "F32", w.shape, w.contiguous().numpy().tobytes())
    elif kind == "bf16":
        add(tensors, name, "BF16", w.shape, w.to(torch.bfloat16).view(torch.int16).numpy().tobytes())
    elif kind == "fp8":
        codes, scale = formats.fp8_matrix(w)
        add(tensors, name, "F8_E4M3", w.shape, e4m3_codes(codes).numpy().tobytes())
        add(tensors, base + ".scale", "F8_E8M0", scale.shape, e8m0_codes(scale).numpy().tobytes())
    elif kind == "fp4":
        codes, scale = formats.fp4_matrix(w)
        add(tensors, name, "I8", (w.shape[0], w.shape[1] // 2), e2m1_codes(codes).numpy().tobytes())
        add(tensors, base + ".scale", "F8_E8M0", scale.shape, e8m0_codes(scale).numpy().tobytes())


def add_experts(tensors, prefix, w13, w2):
    for e in range(len(w2)):
        for name, w in (("w1", w13[e, 0]), ("w2", w2[e]), ("w3", w13[e, 1])):
            add_weight(tensors, f"{prefix}{e}.{name}.weight", "fp4", w)


def official_name(name):
    """Modules `out` exist only here: hc_head_* and norm belong to what contains them."""
    return name.replace("out.", "")


def collect(model):
    """name -> (dtype, shape, bytes), in the order of the model."""
    tensors, experts = {}, {}
    for name, p in model.named_parameters():
        w = p.detach().cpu()
        if ".experts.w" in name:
            prefix, which = name.rsplit(".", 1)
            experts.setdefault(prefix + ".", {})[which] = w
            if len(experts[prefix + "."]) == 2:
                add_experts(tensors, prefix + ".", **experts[prefix + "."])
        else:
            add_weight(tensors, official_name(name), p.kind, w)
    for name, b in model.named_buffers():
        if name.endswith("gate.bias"):
            add_weight(tensors, name, "f32", b.cpu())
        elif name.endswith("gate.tid2eid"):
            add(tensors, name, "I64", b.shape, b.cpu().numpy().astype("<i8").tobytes())
    return tensors


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = dict(dtype=dtype, shape=shape, data_offsets=[offset, offset + len(data)])
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, _, data in tensors.values():
            f.write(data)
    return offset


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_checkpoint(model, directory, tokenizer=None):
    """tokenizer: path of a tokenizer.json to copy."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    file = "model-00001-of-00001.safetensors"
    tensors = collect(model)
    total = write_safetensors(directory / file, tensors)
    write_json(directory / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": {name: file for name in tensors}})
    write_json(directory / "config.json", model.cfg)
    write_json(directory / "generation_config.json",
               dict(bos_token_id=0, eos_token_id=1, do_sample=True, temperature=1.0, top_p=1.0))
    write_json(directory / "tokenizer_config.json",
               dict(add_bos_token=False, add_eos_token=False, bos_token="<｜begin▁of▁sentence｜>",
                    eos_token="<｜end▁of▁sentence｜>", model_max_length=model.cfg["max_position_embeddings"],
                    tokenizer_class="PreTrainedTokenizerFast"))
    if tokenizer:
        shutil.copyfile(tokenizer, directory / "tokenizer.json")
    return total


def main():
    import trainer
    if len(sys.argv) != 3:
        sys.exit("usage: export.py RUN_DIR CHECKPOINT_DIR")
    run, out = map(pathlib.Path, sys.argv[1:])
    size = write_checkpoint(trainer.load_model(run / "state.pt"), out, run / "tokenizer.json")
    print(f"{out}: {size / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main()
