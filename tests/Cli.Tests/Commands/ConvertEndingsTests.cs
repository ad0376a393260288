using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>What the ending of an output's name makes of it.</summary>
public sealed class ConvertEndingsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private async Task<string> WriteSourceAsync()
    {
        var path = _folder["source.safetensors"];
        await File.WriteAllBytesAsync(path, new SafetensorsBuilder().Add("w", "F32", [1], new byte[4]).ToBytes());
        return path;
    }

    [Fact]
    public async Task A_ckpt_file_is_a_file_of_PyTorch()
    {
        var run = await ToolRun.OfAsync("convert", await WriteSourceAsync(), _folder["out.ckpt"]);
        Assert.Equal(0, run.ExitCode);
        await using var written = await Formats.Checkpoint.OpenAsync(_folder["out.ckpt"]);
        Assert.Equal("pytorch", written.Format);
    }

    [Theory]
    [InlineData(".npy")]
    [InlineData(".PKL")]
    [InlineData(".h5")]
    [InlineData(".onnx")]
    [InlineData(".ggml")]
    public async Task A_name_of_a_file_that_is_not_written_is_wrong_usage(string ending)
    {
        var run = await ToolRun.OfAsync("convert", await WriteSourceAsync(), _folder["out" + ending]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(".safetensors, .gguf", run.Error, StringComparison.Ordinal);
        Assert.False(Path.Exists(_folder["out" + ending]));
    }

    [Fact]
    public async Task A_folder_of_such_a_name_is_written_where_it_is_there_or_a_format_is_asked_for()
    {
        var source = await WriteSourceAsync();
        Directory.CreateDirectory(_folder["there.npy"]);
        Assert.Equal(0, (await ToolRun.OfAsync("convert", source, _folder["there.npy"])).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("convert", source, _folder["asked.npy"], "--format", "safetensors")).ExitCode);
        Assert.True(File.Exists(_folder["there.npy/model.safetensors"]));
        Assert.True(File.Exists(_folder["asked.npy/model.safetensors"]));
    }
}
