using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class CarriedFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public CarriedFilesTests() => _folder.Write("model/model.safetensors", SafetensorsBuilder.Tiny());

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("config.json", true)]
    [InlineData("generation_config.json", true)]
    [InlineData("tokenizer.model", true)]
    [InlineData("Tokenizer_Config.JSON", true)]
    [InlineData("vocab.txt", true)]
    [InlineData("tokenizer-abc.safetensors", false)]
    [InlineData("tokenizer.gguf", false)]
    [InlineData("tokenizer.bin", false)]
    [InlineData("model.safetensors.index.json", false)]
    [InlineData("config.index.json", false)]
    [InlineData(".config.json", false)]
    [InlineData("modeling_llama.py", false)]
    [InlineData("tokenizer.py", false)]
    [InlineData("tsconfig.json", false)]
    [InlineData("config_sentence_transformers.json", true)]
    [InlineData("preprocessor_config.json", true)]
    [InlineData("tokenizer.json.bak", false)]
    [InlineData("tsconfig.json.orig", false)]
    [InlineData("special_tokens_map.json", true)]
    [InlineData("chat_template.json", true)]
    [InlineData("chat_template.jinja", true)]
    public void Configuration_and_tokenizer_are_carried_and_weights_are_not(string name, bool expected) =>
        Assert.Equal(expected, CarriedFiles.Includes(name));

    [LinuxFact]
    public async Task One_that_cannot_be_read_ends_the_conversion_before_anything_is_read()
    {
        var (link, pipe) = (_folder["model/tokenizer.json"], _folder["model/vocab.txt"]);
        File.CreateSymbolicLink(link, _folder["nowhere"]);
        await AssertRefusedAsync(link);
        File.Delete(link);
        NamedPipe.Create(pipe);
        await AssertRefusedAsync(pipe);
    }

    [Fact]
    public async Task A_file_of_many_pieces_is_the_same_in_the_copy()
    {
        var bytes = new byte[(3 << 20) + 17];
        new Random(3).NextBytes(bytes);
        _folder.Write("model/tokenizer.model", bytes);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model"]);
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], new ConversionOptions { DType = DType.BF16 });
        Assert.Equal("tokenizer.model", Assert.Single(result.CarriedFiles));
        var copy = await File.ReadAllBytesAsync(_folder["out/tokenizer.model"]);
        Assert.True(bytes.AsSpan().SequenceEqual(copy));
    }

    private async Task AssertRefusedAsync(string path)
    {
        var source = new ActingSource(new LocalFileSource(_folder["model/model.safetensors"]));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.Arm(int.MaxValue, () => { });
        var error = await Assert.ThrowsAsync<IOException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder["out"]));
        Assert.StartsWith($"{path}: it goes with the weights and cannot be copied: ", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, source.Reads);
        Assert.Equal([_folder["model"]], Directory.EnumerateFileSystemEntries(_folder.Path));
    }
}
