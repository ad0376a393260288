using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ArchitectureMetadataTests
{
    private static readonly string[] Matrices = ["up", "down", "gate"];

    // Every type that a number may be boxed in.
    public static TheoryData<object> Fours => [(byte)4, (sbyte)4, (short)4, (ushort)4, 4, 4u, 4L, 4UL];

    [Theory]
    [MemberData(nameof(Fours))]
    public void Numbers_are_of_any_integer_type(object four)
    {
        var map = Llama(("block_count", four), ("attention.head_count", four));
        Assert.Equal(WeightTransform.Unpermute(4), TransformOf(map, "blk.3.attn_q.weight"));
        Assert.False(map.TryGetTargets("blk.4.attn_q.weight", out _));
    }

    [Fact]
    public void Without_key_and_value_heads_there_are_as_many_as_query_heads()
    {
        var map = Llama(("block_count", 1u), ("attention.head_count", 8u));
        Assert.Equal(WeightTransform.Unpermute(8), TransformOf(map, "blk.0.attn_k.weight"));
    }

    [Fact]
    public void Heads_may_be_given_by_block()
    {
        var map = Llama(("block_count", 3u), ("attention.head_count", 8u), ("attention.head_count_kv", new uint[] { 2, 0, 4 }));
        Assert.Equal(WeightTransform.Unpermute(2), TransformOf(map, "blk.0.attn_k.weight"));
        Assert.Equal(WeightTransform.Unpermute(4), TransformOf(map, "blk.2.attn_k.weight"));
        Assert.Equal(WeightTransform.Unpermute(8), TransformOf(map, "blk.1.attn_q.weight"));

        // A block without attention has no such tensor, on either side.
        Assert.False(map.TryGetTargets("blk.1.attn_k.weight", out _));
        Assert.False(map.TryGetSource("model.layers.1.self_attn.k_proj.weight", out _));
        Assert.True(map.TryGetSource("model.layers.2.self_attn.k_proj.weight", out var source));
        Assert.Equal(new NameMapSource("blk.2.attn_k.weight", WeightTransform.Unpermute(4)), source);
    }

    [Theory]
    [InlineData("block_count", null)]
    [InlineData("block_count", "two")]
    [InlineData("block_count", -1)]
    [InlineData("block_count", 2.0)]
    [InlineData("block_count", ulong.MaxValue)]
    [InlineData("block_count", true)]
    [InlineData("attention.head_count", null)]
    [InlineData("attention.head_count", 1.5f)]
    [InlineData("attention.head_count", new[] { 1 })]
    [InlineData("attention.head_count", new[] { 1, 2, 3 })]
    [InlineData("attention.head_count", new[] { 1, -2 })]
    [InlineData("attention.head_count_kv", "12")]
    [InlineData("expert_count", new[] { 1, 2 })]
    public void Numbers_that_are_none_are_named(string key, object? value)
    {
        var numbers = new Dictionary<string, object> { ["llama.block_count"] = 2u, ["llama.attention.head_count"] = 8u };
        numbers.Remove("llama." + key);
        if (value is not null)
        {
            numbers.Add("llama." + key, value);
        }

        var exception = Assert.Throws<InvalidCheckpointException>(() => GgufNameMap.ForArchitecture("llama", numbers, file: "m.gguf"));
        Assert.Equal((CheckpointErrorCode.MetadataInvalid, "m.gguf"), (exception.Code, exception.File));
        Assert.Contains($"'llama.{key}'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Architectures_without_permutation_need_no_heads()
    {
        var map = GgufNameMap.ForArchitecture("qwen2", new Dictionary<string, object> { ["qwen2.block_count"] = 2u });
        Assert.Equal(WeightTransform.None, TransformOf(map, "blk.1.attn_q.weight"));
    }

    [Fact]
    public void Numbers_of_a_hostile_file_cost_nothing()
    {
        var blocks = Assert.Throws<UnsupportedCheckpointException>(() => Llama(("block_count", uint.MaxValue), ("attention.head_count", 8u)));
        Assert.Contains("4294967295", blocks.Message, StringComparison.Ordinal);
        var experts = Assert.Throws<CheckpointLimitException>(
            () => Llama(("block_count", 1u), ("attention.head_count", 8u), ("expert_count", uint.MaxValue)));
        Assert.Equal((uint.MaxValue, 4096), (experts.Actual, experts.Maximum));
        Assert.Contains("GgufNameMapOptions.MaximumExperts", experts.Message, StringComparison.Ordinal);
        var map = GgufNameMap.ForArchitecture("qwen2", new Dictionary<string, object> { ["qwen2.block_count"] = long.MaxValue });
        Assert.True(map.TryGetTargets("blk.999999999.attn_q.weight", out _));
        Assert.False(map.TryGetTargets("blk." + string.Join('.', Enumerable.Repeat("1", 20_000)), out _));
    }

    [Fact]
    public void Empty_tensors_have_no_experts()
    {
        var map = Llama(("block_count", 1u), ("attention.head_count", 8u), ("expert_count", 4u));
        var exception = Assert.Throws<InvalidCheckpointException>(
            () => map.Resolve([KeyValuePair.Create("blk.0.ffn_up_exps.weight", new Shape(4, 0, 8))]));
        Assert.Equal((CheckpointErrorCode.NameMapInvalid, "blk.0.ffn_up_exps.weight"), (exception.Code, exception.Tensor));
    }

    [Fact]
    public void The_limit_of_experts_may_be_raised()
    {
        var metadata = new Dictionary<string, object> { ["llama.block_count"] = 1u, ["llama.attention.head_count"] = 8u, ["llama.expert_count"] = 5000u };
        var map = GgufNameMap.ForArchitecture("llama", metadata, new GgufNameMapOptions { MaximumExperts = 5000 });
        Assert.True(map.TryGetTargets("blk.0.ffn_up_exps.weight", out var targets));
        Assert.Equal(5000, targets.Length);
    }

    [Fact]
    public void Parts_are_limited_together_before_they_are_named()
    {
        // 3,000 tensors of 4,096 bytes would be twelve million names; 32 of them are the limit exactly.
        var map = Llama(("block_count", 1000u), ("attention.head_count", 8u), ("expert_count", 4096u));
        var taken = 0;
        IEnumerable<KeyValuePair<string, Shape>> Tensors(int count)
        {
            for (taken = 0; taken < count; taken++)
            {
                yield return KeyValuePair.Create($"blk.{taken / 3}.ffn_{Matrices[taken % 3]}_exps.weight", new Shape(4096, 1));
            }
        }

        var exception = Assert.Throws<CheckpointLimitException>(() => map.Resolve(Tensors(3000), file: "m.gguf"));
        Assert.Equal((33 * 4096, 131_072, "m.gguf", "gguf"), (exception.Actual, exception.Maximum, exception.File, exception.Format));
        Assert.Equal("GgufNameMapOptions.MaximumParts", exception.Option);
        Assert.Equal(32, taken);
        Assert.Equal(131_072, map.Resolve(Tensors(32)).Tensors.Length);
    }

    [Fact]
    public void The_limit_of_parts_may_be_raised_and_does_not_count_whole_tensors()
    {
        var metadata = new Dictionary<string, object> { ["llama.block_count"] = 2u, ["llama.attention.head_count"] = 8u, ["llama.expert_count"] = 3u };
        KeyValuePair<string, Shape>[] tensors =
        [
            new("output.weight", new Shape(1)), new("token_embd.weight", new Shape(1)),
            new("blk.0.ffn_up_exps.weight", new Shape(3, 1)), new("blk.1.ffn_up_exps.weight", new Shape(3, 1)),
        ];
        var exception = Assert.Throws<CheckpointLimitException>(() => WithParts(5).Resolve(tensors));
        Assert.Equal((6, 5), (exception.Actual, exception.Maximum));
        Assert.Equal(8, WithParts(6).Resolve(tensors).Tensors.Length);

        GgufNameMap WithParts(int maximum) => GgufNameMap.ForArchitecture("llama", metadata, new GgufNameMapOptions { MaximumParts = maximum });
    }

    private static GgufNameMap Llama(params (string Key, object Value)[] numbers) =>
        GgufNameMap.ForArchitecture("llama", numbers.ToDictionary(number => "llama." + number.Key, number => number.Value));

    private static WeightTransform TransformOf(GgufNameMap map, string name)
    {
        Assert.True(map.TryGetTargets(name, out var targets));
        return Assert.Single(targets).Transform;
    }
}
