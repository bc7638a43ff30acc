"""The yardsticks compute what RAM and DRAW do, so that a ratio of speeds is one of how, and not of what."""

import sys
from pathlib import Path

import torch

from attend.contract import Batch, Pictures
from attend.systems import draw, ram

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from plain_glimpses import PlainDraw, PlainRam, Sizes


def test_the_plain_ram_computes_what_ram_does_at_whole_pixels():
    torch.manual_seed(0)
    # So little noise, around the middle: a place between pixels is one that the yardstick can't look at.
    config = ram.Config(3, 4, 2, 16, 8, 12, deviation=1e-12)
    system = ram.System(config, 1, 5)
    assert system.location.mean is not None
    torch.nn.init.zeros_(system.location.mean.weight)
    torch.nn.init.zeros_(system.location.mean.bias)
    plain = PlainRam(Sizes(3, 4, 2, 16, 8, 12, 1e-12), 1, 5)
    plain.load_state_dict(
        {name.removeprefix("glimpse.").removeprefix("location."): value for name, value in system.state_dict().items()}
    )
    images, label = torch.rand(6, 1, 12, 12), torch.arange(6) % 5
    batch = Batch({"image": images}, label)
    torch.manual_seed(1)
    expected = system.train()(batch).total
    torch.manual_seed(1)
    noise = torch.stack([torch.randn(6, 1, 2).squeeze(1) for _ in range(3)])
    found = plain(images, label, noise)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    ours = torch.autograd.grad(expected, system.glimpse.patches.weight)
    torch.testing.assert_close(torch.autograd.grad(found, plain.patches.weight), ours, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(plain.classify(images), system.answer(batch).logits[:, -1])


def test_the_plain_draw_computes_what_draw_does():
    torch.manual_seed(0)
    config = draw.Config(steps=3, hidden=16, latent=4, read=3, write=5)
    system = draw.System(config, 2, 9, 9)
    plain = PlainDraw(16, 4, 3, 5, 2, 9)
    hand = system.hand.from_decoder
    write_aim, read_aim, patch = hand.weight.tensor_split([5, 10])
    write_bias, read_bias, patch_bias = hand.bias.tensor_split([5, 10])
    with torch.no_grad():
        for layer, weight, bias in (
            (plain.write_aim, write_aim, write_bias),
            (plain.read_aim, read_aim, read_bias),
            (plain.patch, patch, patch_bias),
            (plain.mean, *(part[:4] for part in (system.posterior.weight, system.posterior.bias))),
            (plain.log_deviation, *(part[4:] for part in (system.posterior.weight, system.posterior.bias))),
        ):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        for cell, ours in ((plain.encoder, system.encoder), (plain.decoder, system.decoder)):
            # torch has the candidate third, and two biases.
            weight, bias = (
                torch.cat([part[:32], part[48:], part[32:48]]) for part in (ours.gates.weight, ours.gates.bias)
            )
            cell.weight_ih.copy_(weight[:, :-16])
            cell.weight_hh.copy_(weight[:, -16:])
            cell.bias_ih.copy_(bias)
            cell.bias_hh.zero_()
    images = torch.rand(4, 2, 9, 9)
    torch.manual_seed(1)
    expected = system(Pictures(images)).total
    torch.manual_seed(1)
    noise = system.noise(4)
    found = plain(images, noise)
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad(expected, hand.weight)[0][:10]
    theirs = torch.cat(torch.autograd.grad(found, [plain.write_aim.weight, plain.read_aim.weight]))
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-4)
    drawn = torch.sigmoid(plain.generate(noise))
    torch.testing.assert_close(drawn, system.generate(noise).canvases[:, -1])
