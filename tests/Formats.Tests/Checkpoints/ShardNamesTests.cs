using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class ShardNamesTests
{
    [Theory]
    [InlineData(0, 1, "model.safetensors")]
    [InlineData(0, 2, "model-00001-of-00002.safetensors")]
    [InlineData(99_998, 99_999, "model-99999-of-99999.safetensors")]
    [InlineData(123_455, 123_456, "model-123456-of-123456.safetensors")]
    public void A_shard_has_its_number_from_one(int index, int count, string name)
    {
        Assert.Equal(name, ShardNames.OfShard(index, count));
        Assert.True(ShardNames.Includes(name));
    }

    [Fact]
    public void A_part_of_a_gguf_model_is_named_the_same_with_its_own_ending()
    {
        Assert.Equal("model.gguf", ShardNames.OfShard(0, 1, ".gguf"));
        Assert.Equal("model-00002-of-00003.gguf", ShardNames.OfShard(1, 3, ".gguf"));
    }

    [Fact]
    public void Files_of_PyTorch_have_the_names_of_transformers()
    {
        Assert.Equal("pytorch_model.bin", ShardNames.OfShard(0, 1, ".bin"));
        Assert.Equal("pytorch_model-00002-of-00003.bin", ShardNames.OfShard(1, 3, ".bin"));
        Assert.Equal("pytorch_model.bin.index.json", ShardNames.TorchIndex);
        Assert.Equal("model.safetensors.index.json", ShardNames.Index);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(1, 1)]
    [InlineData(0, 0)]
    public void There_is_no_shard_outside(int index, int count) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => ShardNames.OfShard(index, count));

    [Theory]
    [InlineData("model.safetensors.index.json", true)]
    [InlineData("model.gguf", true)]
    [InlineData("model-00002-of-00003.gguf", true)]
    [InlineData("model-2-of-3.gguf", false)]
    [InlineData("llama-q4_k_m.gguf", false)]
    [InlineData("xmodel.gguf", false)]
    [InlineData("model.gguf.index.json", false)]
    [InlineData("my-lora.safetensors", false)]
    [InlineData("model-lora.safetensors", false)]
    [InlineData("model-1-of-2.safetensors", false)]
    [InlineData("model-00001-of-2.safetensors", false)]
    [InlineData("model-00001-of-00002.bin", false)]
    [InlineData("model.bin", false)]
    [InlineData("pytorch_model.bin", true)]
    [InlineData("pytorch_model-00001-of-00002.bin", true)]
    [InlineData("pytorch_model.bin.index.json", true)]
    [InlineData("pytorch_model.safetensors", false)]
    [InlineData("pytorch_model-1-of-2.bin", false)]
    [InlineData("model-0000x-of-00002.safetensors", false)]
    [InlineData("model-00001-of-.safetensors", false)]
    [InlineData("model-.safetensors", false)]
    [InlineData("", false)]
    public void Only_names_that_are_written_are_included(string name, bool expected) => Assert.Equal(expected, ShardNames.Includes(name));

    [Fact]
    public void An_index_maps_each_tensor_to_its_file_in_ordinal_order()
    {
        var text = System.Text.Encoding.UTF8.GetString(ShardNames.WriteIndex(
            [KeyValuePair.Create("b", "2"), KeyValuePair.Create("a\"", "1"), KeyValuePair.Create("B", "1")], 7));
        Assert.Equal(
            """{"metadata":{"total_size":7},"weight_map":{"B":"1","a\"":"1","b":"2"}}""",
            string.Concat(text.Where(character => !char.IsWhiteSpace(character))));
    }
}
