using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What a file is told to be by its first bytes, and what people are told who pass something else (bad input F1).</summary>
public sealed class FormatDetectionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.bin")]
    [InlineData("model")]
    [InlineData("model.gguf")]
    public async Task Open_SafetensorsUnderAnotherName_IsOpened(string name)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Write(name, SafetensorsBuilder.Tiny()));
        Assert.Equal("safetensors", checkpoint.Format);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("model.bin")]
    public async Task Open_GitLfsPointer_SaysToPull(string name)
    {
        const string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
        var exception = await RefusedAsync(name, Encoding.ASCII.GetBytes(pointer), CheckpointErrorCode.GitLfsPointer);
        Assert.Contains("git lfs pull", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<!DOCTYPE html><html>")]
    [InlineData("  \r\n<HTML lang=en>")]
    [InlineData("<?xml version='1.0'?><Error>")]
    [InlineData("\u00ef\u00bb\u00bf<!doctype html>")]
    public async Task Open_Page_SaysThatTheDownloadFailed(string text)
    {
        var exception = await RefusedAsync("model.safetensors", Encoding.Latin1.GetBytes(text), CheckpointErrorCode.HtmlPage);
        Assert.Contains("page", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_FileOfZeros_SaysThatADownloadWasInterrupted()
    {
        var exception = await RefusedAsync("model.safetensors", new byte[4096], CheckpointErrorCode.ZeroFilled);
        Assert.Contains("interrupted download", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_HeaderCutByZeros_SaysWhereTheyBegin()
    {
        var file = SafetensorsBuilder.File("""{"a":{"dtype":"U8","shape":[64],"data_offsets":[0,64]}}     """, new byte[64]);
        file.AsSpan(40).Clear();
        var exception = await RefusedAsync("model.safetensors", file, CheckpointErrorCode.ZeroFilled);
        Assert.Equal(Array.FindLastIndex(file, value => value != 0) + 1, exception.Offset);
    }

    [Fact]
    public async Task Open_UnknownBytes_ShowsThemAndWhatIsRead()
    {
        var exception = await RefusedAsync("weights", "not a checkpoint"u8.ToArray(), CheckpointErrorCode.UnknownFormat);
        Assert.Contains("6E6F742061206368", exception.Message, StringComparison.Ordinal);
        Assert.Contains("this version reads safetensors, gguf, pytorch, npy, npz.", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.safetensors", "Entry not found")]
    [InlineData("model.safetensors", "Invalid username or password.")]
    [InlineData("model.safetensors", "{\n  \"error\": \"Access to model x/y is restricted.\"}")]
    [InlineData("model.bin", "Repository not found")]
    public async Task Open_AnswerOfAServerInText_IsShown(string name, string answer)
    {
        // Read as a header's length it would be "a header of 8 exabytes; raise the limit".
        var exception = await RefusedAsync(name, Encoding.ASCII.GetBytes(answer), CheckpointErrorCode.UnknownFormat);
        Assert.Contains(Quoted.Name(answer), exception.Message, StringComparison.Ordinal);
        Assert.Contains("text", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
    }

    [Fact]
    public async Task Open_EmptyFile_SaysSoWhateverItsName()
    {
        await RefusedAsync("model.safetensors", [], CheckpointErrorCode.HeaderTooSmall);
        await RefusedAsync("weights", [], CheckpointErrorCode.UnknownFormat);
        foreach (var name in (string[])["a.pt", "a.bin", "a.ckpt", "a.pth"])
        {
            var exception = await RefusedAsync(name, [], CheckpointErrorCode.UnknownFormat);
            Assert.Contains("the file is empty", exception.Message, StringComparison.Ordinal);
        }

    }

    [Theory]
    [InlineData("894844460D0A1A0A", "HDF5")]
    [InlineData("6C6D6767", "ggml")]
    [InlineData("1F8B0800", "gzip")]
    public async Task Open_OtherFormat_IsNamedAndNotSupported(string hexadecimal, string format)
    {
        var bytes = new byte[64];
        Convert.FromHexString(hexadecimal).CopyTo(bytes, 0);
        var path = _folder.Write("weights", bytes);
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => Checkpoint.OpenAsync(path));
        Assert.Contains(format, exception.Message, StringComparison.Ordinal);
        Assert.Equal(path, exception.File);
    }

    [Fact]
    public async Task Open_TarArchive_IsNamed()
    {
        var bytes = new byte[512];
        "ustar"u8.CopyTo(bytes.AsSpan(257));
        bytes[0] = (byte)'p';
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => Checkpoint.OpenAsync(_folder.Write("old.pt", bytes)));
        Assert.Contains("tar", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_NothingThere_IsNotFound() =>
        await Assert.ThrowsAsync<FileNotFoundException>(() => Checkpoint.OpenAsync(_folder["none.safetensors"]));

    [Fact]
    public async Task Open_FolderThatIsNotThere_IsNotFound() =>
        await Assert.ThrowsAsync<DirectoryNotFoundException>(() => Checkpoint.OpenAsync(_folder["no/such/model.safetensors"]));

    private async Task<InvalidCheckpointException> RefusedAsync(string name, byte[] content, CheckpointErrorCode code)
    {
        var path = _folder.Write(name, content);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(path));
        Assert.Equal(code, exception.Code);
        Assert.Equal(path, exception.File);
        Assert.StartsWith(path + ": ", exception.Message, StringComparison.Ordinal);
        return exception;
    }
}
