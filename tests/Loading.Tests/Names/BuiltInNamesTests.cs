using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class BuiltInNamesTests
{
    // The model whose listing is reconstructed (names.zip), its tensors on both sides, and those of the checkpoint that the GGUF does not have.
    public static TheoryData<string, int, int, int> Models => new()
    {
        { "TinyLlama-1.1B-Chat-v1.0", 201, 201, 0 },
        { "Mistral-7B-v0.1", 291, 291, 0 },
        { "Mixtral-8x7B-v0.1", 323, 995, 0 },
        { "Mixtral-8x7B-v0.1-per-expert", 995, 995, 0 },
        { "Qwen2-0.5B", 290, 290, 0 },
        { "Qwen3-0.6B", 310, 311, 1 },
        { "Qwen3-0.6B-with-output", 311, 311, 0 },
        { "gemma-2b", 164, 164, 0 },
        { "Phi-3-mini-4k-instruct", 195, 195, 0 },
        { "gpt2", 148, 160, 12 },
        { "gpt2-with-output", 149, 160, 12 },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_gguf_tensor_is_the_checkpoints_with_the_right_shape(string model, int ggufCount, int checkpointCount, int absent)
    {
        var listing = NameListing.Read(model);
        Assert.Equal((ggufCount, checkpointCount), (listing.Gguf.Count, listing.Checkpoint.Count));
        var mapping = listing.BuiltIn().Resolve(listing.Gguf, listing.Checkpoint.Keys);

        Assert.Empty(mapping.Unmapped);
        Assert.Empty(mapping.LeftOut);
        Assert.Empty(mapping.Missing);
        Assert.Equal(
            listing.Map.Order(), mapping.Tensors.Select(tensor => (tensor.GgufName, tensor.Name, tensor.Transform.ToString())).Order());
        foreach (var tensor in mapping.Tensors.Where(tensor => !mapping.Unexpected.Contains(tensor.Name)))
        {
            Assert.Equal((tensor.Name, listing.Checkpoint[tensor.Name]), (tensor.Name, tensor.Shape));
            Assert.True(mapping.TryGet(tensor.Name, out var found));
            Assert.Same(tensor, found);
        }

        Assert.Equal(absent, checkpointCount - mapping.Tensors.Length + mapping.Unexpected.Length);
        Assert.All(listing.Gguf, pair => Assert.NotEmpty(mapping.OfGguf(pair.Key)));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_tensor_of_the_checkpoint_goes_back(string model, int ggufCount, int checkpointCount, int absent)
    {
        var listing = NameListing.Read(model);
        // The newer of two names goes before the older: per expert, the way back is the one of the same model without that.
        var newer = model == "Mixtral-8x7B-v0.1-per-expert" ? NameListing.Read("Mixtral-8x7B-v0.1") : listing;
        var shapes = newer.Gguf.ToDictionary();
        // A tied output has a name in a GGUF, though this one does not store it.
        (string Gguf, string Checkpoint, string Transform)[] tied = model == "Qwen3-0.6B" ? [("output.weight", "lm_head.weight", "none")] : [];
        var expected = newer.Map.Where(row => listing.Checkpoint.ContainsKey(row.Checkpoint)).Concat(tied).Order().ToArray();

        var map = listing.BuiltIn();
        var found = new List<(string Gguf, string Checkpoint, string Transform)>();
        foreach (var (name, shape) in listing.Checkpoint)
        {
            if (map.TryGetSource(name, out var source))
            {
                found.Add((source.GgufName, name, source.Transform.ToString()));
                Assert.Equal(
                    (name, shapes.GetValueOrDefault(source.GgufName, shapes["token_embd.weight"])), (name, source.Transform.SourceShapeOf(shape)));
            }
        }

        Assert.Equal(expected, found.Order());
        Assert.Equal((ggufCount, checkpointCount - absent), (listing.Gguf.Count, found.Count - tied.Length));
    }

    [Theory]
    [InlineData("Qwen3-0.6B", "lm_head.weight", "model.embed_tokens.weight")]
    [InlineData("gemma-2b", "lm_head.weight", "model.embed_tokens.weight")]
    public void Without_an_output_it_is_tied_to_the_embedding(string model, string name, string tiedTo)
    {
        var listing = NameListing.Read(model);
        var mapping = listing.BuiltIn().Resolve(listing.Gguf, [.. listing.Checkpoint.Keys, "lm_head.weight"]);
        Assert.Equal([new NameTie(name, tiedTo)], mapping.Ties.ToArray());
        Assert.Empty(mapping.Missing);
    }

    [Theory]
    [InlineData("Qwen3-0.6B", "")]
    [InlineData("gpt2", null)]
    [InlineData("gpt2", "")]
    public void A_model_without_a_head_has_no_tied_output(string model, string? prefix)
    {
        var listing = NameListing.Read(model);
        var map = GgufNameMap.ForArchitecture(listing.Architecture, listing.Metadata, new GgufNameMapOptions { ModelPrefix = prefix });
        Assert.Empty(map.Resolve(listing.Gguf).Ties);
        // Who wants the output all the same is told that it is not there.
        Assert.Equal(["lm_head.weight"], map.Resolve(listing.Gguf, ["lm_head.weight"]).Missing.ToArray());
    }

    [Fact]
    public void A_gpt2_with_its_head_has_a_tied_output()
    {
        var listing = NameListing.Read("gpt2");
        var map = GgufNameMap.ForArchitecture(listing.Architecture, listing.Metadata, new GgufNameMapOptions { ModelPrefix = "transformer." });
        Assert.Equal([new NameTie("lm_head.weight", "transformer.wte.weight")], map.Resolve(listing.Gguf).Ties.ToArray());
    }

    [Fact]
    public void With_an_output_nothing_is_tied()
    {
        var listing = NameListing.Read("Mistral-7B-v0.1");
        Assert.Empty(listing.BuiltIn().Resolve(listing.Gguf).Ties);
        // Nor is there anything to tie to without an embedding, as in a part of a split file.
        Assert.Empty(listing.BuiltIn().Resolve(listing.Gguf.Where(pair => pair.Key is "output_norm.weight")).Ties);
    }

    [Fact]
    public void A_copied_output_is_not_expected()
    {
        var listing = NameListing.Read("gpt2-with-output");
        var mapping = listing.BuiltIn().Resolve(listing.Gguf, listing.Checkpoint.Keys);
        Assert.Equal(["lm_head.weight"], mapping.Unexpected.ToArray());
        Assert.Empty(mapping.Ties);
        Assert.Equal(12, mapping.NotStored.Length);
        Assert.All(mapping.NotStored, name => Assert.EndsWith(".attn.bias", name, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("TinyLlama-1.1B-Chat-v1.0", "rope_freqs.weight")]
    [InlineData("TinyLlama-1.1B-Chat-v1.0", "blk.21.attn_rot_embd.weight")]
    [InlineData("Phi-3-mini-4k-instruct", "rope_factors_long.weight")]
    [InlineData("Phi-3-mini-4k-instruct", "rope_factors_short.weight")]
    public void Rotary_factors_are_left_out(string model, string name)
    {
        var listing = NameListing.Read(model);
        var mapping = listing.BuiltIn().Resolve([.. listing.Gguf, KeyValuePair.Create(name, new Shape(48))], listing.Checkpoint.Keys);
        Assert.Equal([name], mapping.LeftOut.ToArray());
        Assert.Empty(mapping.Unmapped);
        Assert.Empty(mapping.OfGguf(name));
        Assert.Empty(mapping.Unexpected);
    }

    [Fact]
    public void Rotary_buffers_of_a_checkpoint_are_not_missed()
    {
        var listing = NameListing.Read("TinyLlama-1.1B-Chat-v1.0");
        const string Buffer = "model.layers.3.self_attn.rotary_emb.inv_freq";
        var mapping = listing.BuiltIn().Resolve(listing.Gguf, [.. listing.Checkpoint.Keys, Buffer, "model.layers.3.adapter.weight"]);
        Assert.Equal([Buffer], mapping.NotStored.ToArray());
        Assert.Equal(["model.layers.3.adapter.weight"], mapping.Missing.ToArray());
    }

    [Theory]
    [InlineData("blk.22.attn_q.weight")]
    [InlineData("blk.01.attn_q.weight")]
    [InlineData("blk.x.attn_q.weight")]
    [InlineData("blk.-1.attn_q.weight")]
    [InlineData("blk.4294967296.attn_q.weight")]
    [InlineData("blk.{block}.attn_v.weight")]
    [InlineData("blk.0.attn_q.scale")]
    [InlineData("blk.0.attn_q")]
    [InlineData("blk.0.attn_qkv.weight")]
    [InlineData("blk.0.ffn_gate.0.weight")]
    [InlineData("blk.0.ffn_gate_exps.weight")]
    [InlineData("mm.0.weight")]
    [InlineData("")]
    public void Names_that_the_model_cannot_have_are_unmapped(string name)
    {
        var listing = NameListing.Read("TinyLlama-1.1B-Chat-v1.0");
        var mapping = listing.BuiltIn().Resolve([KeyValuePair.Create(name, new Shape(8, 8))]);
        Assert.Equal([name], mapping.Unmapped.ToArray());
        Assert.Empty(mapping.Tensors);
    }

    [Theory]
    [InlineData("model.layers.22.self_attn.q_proj.weight")]
    [InlineData("model.layers.0.block_sparse_moe.experts.0.w1.weight")]
    [InlineData("model.layers.0.self_attn.rotary_emb.inv_freq")]
    [InlineData("transformer.wte.weight")]
    public void Names_without_a_source_have_no_way_back(string name) =>
        Assert.False(NameListing.Read("TinyLlama-1.1B-Chat-v1.0").BuiltIn().TryGetSource(name, out _));

    [Fact]
    public void Biases_are_permuted_with_their_weights()
    {
        var map = NameListing.Read("TinyLlama-1.1B-Chat-v1.0").BuiltIn();
        Assert.True(map.TryGetTargets("blk.7.attn_k.bias", out var targets));
        Assert.Equal([new NameMapTarget("model.layers.7.self_attn.k_proj.bias", WeightTransform.Unpermute(4))], targets.ToArray());
    }

    [Theory]
    [InlineData("gpt2", "transformer.", "blk.3.attn_qkv.weight", "transformer.h.3.attn.c_attn.weight")]
    [InlineData("gpt2", "transformer.", "output.weight", "lm_head.weight")]
    [InlineData("Qwen2-0.5B", "", "blk.3.attn_q.bias", "layers.3.self_attn.q_proj.bias")]
    [InlineData("Qwen2-0.5B", null, "blk.3.attn_q.bias", "model.layers.3.self_attn.q_proj.bias")]
    public void The_prefix_is_the_callers_choice(string model, string? prefix, string gguf, string expected)
    {
        var listing = NameListing.Read(model);
        var map = GgufNameMap.ForArchitecture(listing.Architecture, listing.Metadata, new GgufNameMapOptions { ModelPrefix = prefix });
        Assert.True(map.TryGetTargets(gguf, out var targets));
        Assert.Equal(expected, Assert.Single(targets).Name);
        Assert.True(map.TryGetSource(expected, out var source));
        Assert.Equal(gguf, source.GgufName);
    }

    [Fact]
    public void A_file_that_has_experts_both_ways_is_refused()
    {
        var listing = NameListing.Read("Mixtral-8x7B-v0.1");
        var exception = Assert.Throws<InvalidCheckpointException>(() => listing.BuiltIn().Resolve(
            [.. listing.Gguf, KeyValuePair.Create("blk.31.ffn_down.7.weight", new Shape(4096, 14336))], file: "m.gguf"));
        Assert.Equal(CheckpointErrorCode.NameMapInvalid, exception.Code);
        Assert.Equal(
            "m.gguf: tensor 'blk.31.ffn_down.7.weight': it is 'model.layers.31.block_sparse_moe.experts.7.w2.weight' of the checkpoint, and so is "
            + "'blk.31.ffn_down_exps.weight'; each must be made from one tensor.",
            exception.Message);
    }

    [Theory]
    [InlineData("TinyLlama-1.1B-Chat-v1.0", "blk.0.attn_q.weight", 100)]
    [InlineData("Mixtral-8x7B-v0.1", "blk.0.ffn_up_exps.weight", 7)]
    [InlineData("gpt2", "blk.0.ffn_up.weight", 3)]
    public void A_shape_that_does_not_fit_is_refused(string model, string name, long rows)
    {
        var shape = name.Contains("up.", StringComparison.Ordinal) ? new Shape(rows) : new Shape(rows, 4, 4);
        var exception = Assert.Throws<InvalidCheckpointException>(
            () => NameListing.Read(model).BuiltIn().Resolve([KeyValuePair.Create(name, shape)], file: "m.gguf"));
        Assert.Equal((CheckpointErrorCode.NameMapInvalid, "m.gguf", name), (exception.Code, exception.File, exception.Tensor));
        Assert.Contains(shape.ToString(), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_architecture_is_named_with_those_that_are_known()
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(
            () => GgufNameMap.ForArchitecture("mamba\u001b", new Dictionary<string, object>(), file: "m.gguf"));
        Assert.Contains("'mamba\\u001b'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("llama, qwen2, qwen3, gemma, phi3, gpt2", exception.Message, StringComparison.Ordinal);
        Assert.Equal(["llama", "qwen2", "qwen3", "gemma", "phi3", "gpt2"], GgufNameMap.Architectures.ToArray());
    }
}
