"""The transformer of the latent prior: which patches a token reads, and where it attends."""

import torch

from garfield_vae.model.velocity import Block, PatchTransformer


def test_a_token_reads_its_place_in_its_own_panel_and_in_the_next_two():
    of = PatchTransformer((3, 1, 1, 2), (1, 1), width=8, depth=1, heads=1, dropout=0.0)
    patches = torch.tensor([[[11.0], [12.0], [21.0], [22.0], [31.0], [32.0]]])  # panel, place
    beside = [[11, 21, 31], [12, 22, 32], [21, 31, 11], [22, 32, 12], [31, 11, 21], [32, 12, 22]]
    assert of.beside(patches)[0].tolist() == beside


def test_attention_goes_where_its_bias_points():
    torch.manual_seed(0)
    block = Block(width=4, heads=1, tokens=3, dropout=0.0)
    with torch.no_grad():
        block.pairs[0, 0, 2] = 50.0  # e^50 times the weight that the likeness alone gives
    qkv = torch.randn(1, 3, 12)
    attended = block.attend(qkv)
    torch.testing.assert_close(attended[0, 0], qkv[0, 2, 8:])  # the last third are the values
    assert not torch.allclose(attended[0, 1], qkv[0, 2, 8:], atol=0.1)


def test_attention_does_not_depend_on_the_length_of_queries_and_keys():
    torch.manual_seed(0)
    block, qkv = Block(width=8, heads=2, tokens=3, dropout=0.0), torch.randn(1, 3, 24)
    longer = qkv * torch.tensor([100.0] * 16 + [1.0] * 8)  # the last third are the values
    torch.testing.assert_close(block.attend(longer), block.attend(qkv))
