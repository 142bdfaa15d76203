"""Why weights do not fit a network, as far as the names of the tensors say, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcd.networks.prefixes import branches

__all__ = ["advice"]

_HEADS = ("classifier", "head", "fc")
_MARKS = (
    (
        r"(^|\.)lora_|(^|\.)base_model\.model\.|(^|\.)(ia3_l|hada_w|modules_to_save)",
        "it holds an adapter (LoRA or another of peft): merge it into its network with model.merge_and_unload(), and "
        "save the state dict of that",
    ),
    (
        r"_mask$",
        "the network was pruned (weight_orig, weight_mask): make that permanent with "
        "torch.nn.utils.prune.remove(module, 'weight') for each pruned module, and save it again",
    ),
    (
        r"\.parametrizations\.|^parametrizations\.|weight_[guv]$|weight_orig$",
        "its weights are saved in parts (weight or spectral normalisation): put them together with "
        "torch.nn.utils.parametrize.remove_parametrizations(module, 'weight'), and save it again",
    ),
    (
        r"_packed_params|zero_point$|(^|\.)(qweight|qzeros|scales|SCB|absmax)$|quant_state|weight_scale",
        "its weights are quantised: save the network as it was before",
    ),
    (r"flat_param", "it is a part of a network under FSDP: save a full state dict (FullStateDictConfig)"),
    (
        r"(^|\.)embeddings\.patch_embeddings\.|(^|\.)encoder\.(layer\.\d+\.attention\.|stages\.\d+\.layers\.)",
        "the names are those of transformers: give the folder with its config.json as transformers:FOLDER",
    ),
    (r"(^|\.)exp_avg(_sq)?(\.|$)", "it is the state of an optimizer: save model.state_dict()"),
)
"""What names of tensors show of how a network was saved, and what to do then; the first that fits counts."""
_CHANNELS = re.compile(r"(\S+) is (\d+)×([13])(×\d+×\d+) in the file, \2×([13])\4 in the network")


def advice(missing: Sequence[str], unexpected: Sequence[str], unlike: Sequence[str], at_most: int) -> str:
    """Return a hint for tensors that do not fit.

    Parameters
    ----------
    missing, unexpected
        Names.
    unlike
        Sentences on tensors of another shape or type, each beginning with the name.
    at_most
        How many prefixes it may offer.
    """
    marked = next((hint for mark, hint in _MARKS if any(re.search(mark, name) for name in unexpected)), "")
    if marked:
        return marked
    odd = [*missing, *unexpected, *(line.split()[0] for line in unlike)]
    if all(name.split(".")[0] in _HEADS for name in odd):
        return "only the head differs: set num_classes as in the file (0 for none)"
    channels = [found for line in unlike if (found := _CHANNELS.fullmatch(line))]
    if channels and len(channels) == len(unlike) and not missing and not unexpected:
        return f"the file is of a network for {channels[0][3]} channels: build this one so (in_chans={channels[0][3]})"
    if missing and unexpected and not unlike:
        inside = [name for name in unexpected if "." in name]
        where = f" Then say where: prefix={'|'.join(branches(inside)[:at_most])}" if inside else ""
        return f"the names differ: is it another architecture, or a network inside another one?{where}"
    return "is it the weights of another architecture?"
