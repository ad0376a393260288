using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class TensorManifestTests : IDisposable
{
    private const string Hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_is_written_is_read_again()
    {
        var entries = new Dictionary<string, ManifestEntry>
        {
            ["b"] = new(DType.BF16, new Shape(2, 3), Hash),
            ["a \"quoted\" ü \u001b"] = new(DType.Q4_K, Shape.Scalar, Hash),
            [""] = new(DType.F4, new Shape(0), new string('f', 64)),
        };
        await new TensorManifest(entries).WriteAsync(_folder["m.json"]);
        var read = await TensorManifest.ReadAsync(_folder["m.json"]);
        Assert.Equal(entries.OrderBy(pair => pair.Key, StringComparer.Ordinal), read.Entries);
        Assert.Equal([_folder["m.json"]], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task The_file_is_as_documented()
    {
        await new TensorManifest([KeyValuePair.Create("w", new ManifestEntry(DType.F32, new Shape(2, 3), Hash))]).WriteAsync(_folder["m.json"]);
        var text = await File.ReadAllTextAsync(_folder["m.json"]);
        Assert.Equal(
            """{"schema":"ilgpu-loader/manifest/1","tensors":{"w":{"dtype":"F32","shape":[2,3],"sha256":"HASH"}}}""".Replace("HASH", Hash, StringComparison.Ordinal),
            string.Concat(text.Where(character => !char.IsWhiteSpace(character))));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"schema\":\"ilgpu-loader/manifest/2\",\"tensors\":{}}")]
    [InlineData("{\"schema\":7,\"tensors\":{}}")]
    [InlineData("{\"schema\":\"ilgpu-loader/manifest/1\"}")]
    [InlineData("{\"schema\":\"ilgpu-loader/manifest/1\",\"tensors\":[]}")]
    [InlineData("{\"schema\":\"ilgpu-loader/manifest/1\",\"tensors\":{}} x")]
    [InlineData("{\"schema\":\"ilgpu-loader/manifest/1\",\"tensors\":{\"a\":1,\"a\":2}}")]
    public async Task What_is_no_manifest_is_refused(string content)
    {
        var path = _folder.Write("m.json", Encoding.UTF8.GetBytes(content));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => TensorManifest.ReadAsync(path));
        Assert.Equal((CheckpointErrorCode.ManifestInvalid, path), (error.Code, error.File));
    }

    [Theory]
    [InlineData("1")]
    [InlineData("{}")]
    [InlineData("""{"dtype":"F32","shape":[1]}""")]
    [InlineData("""{"dtype":"f32","shape":[1],"sha256":"HASH"}""")]
    [InlineData("""{"dtype":32,"shape":[1],"sha256":"HASH"}""")]
    [InlineData("""{"dtype":"F32","shape":1,"sha256":"HASH"}""")]
    [InlineData("""{"dtype":"F32","shape":[-1],"sha256":"HASH"}""")]
    [InlineData("""{"dtype":"F32","shape":[1.5],"sha256":"HASH"}""")]
    [InlineData("""{"dtype":"F32","shape":[4611686018427387904,4],"sha256":"HASH"}""")]
    [InlineData("""{"dtype":"F32","shape":[4294967296,4294967296],"sha256":"HASH"}""")]
    [InlineData("""{"dtype":"F32","shape":["1"],"sha256":"HASH"}""")]
    [InlineData("""{"dtype":"F32","shape":[1],"sha256":7}""")]
    [InlineData("""{"dtype":"F32","shape":[1],"sha256":"HASH0"}""")]
    [InlineData("""{"dtype":"F32","shape":[1],"sha256":"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"}""")]
    [InlineData("""{"dtype":"F32","shape":[1],"sha256":null}""")]
    public async Task A_broken_entry_is_refused(string entry)
    {
        var content = ("""{"schema":"ilgpu-loader/manifest/1","tensors":{"the name":""" + entry + "}}").Replace("HASH", Hash, StringComparison.Ordinal);
        var path = _folder.Write("m.json", Encoding.UTF8.GetBytes(content));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => TensorManifest.ReadAsync(path));
        Assert.Equal((CheckpointErrorCode.ManifestInvalid, path, "the name"), (error.Code, error.File, error.Tensor));
    }

    [Fact]
    public async Task Writing_replaces_a_manifest_and_nothing_else()
    {
        var path = _folder["m.json"];
        await new TensorManifest([]).WriteAsync(path);
        await new TensorManifest([KeyValuePair.Create("w", new ManifestEntry(DType.F32, new Shape(1), Hash))]).WriteAsync(path);
        Assert.Single((await TensorManifest.ReadAsync(path)).Entries);
        foreach (var content in (byte[][])[SafetensorsBuilder.Tiny(), "{}"u8.ToArray(), []])
        {
            var other = _folder.Write("other", content);
            var error = await Assert.ThrowsAsync<IOException>(() => new TensorManifest([]).WriteAsync(other));
            Assert.StartsWith($"{other}: this already exists, is no manifest", error.Message, StringComparison.Ordinal);
            Assert.Equal(content, await File.ReadAllBytesAsync(other));
        }
    }

    [Fact]
    public async Task A_manifest_that_is_not_there_is_not_found() =>
        await Assert.ThrowsAsync<FileNotFoundException>(() => TensorManifest.ReadAsync(_folder["none.json"]));

    [Fact]
    public void A_mismatch_names_the_first_and_counts_the_rest()
    {
        var error = new ManifestMismatchException("f", [.. Enumerable.Range(0, 7).Select(i => new ManifestMismatch($"t{i}\n", "differs"))]);
        Assert.StartsWith("f: 7 tensors differ from the manifest: tensor 't0\\u000a': differs; ", error.Message, StringComparison.Ordinal);
        Assert.Contains("'t4\\u000a': differs; and 2 more. ", error.Message, StringComparison.Ordinal);
        Assert.Equal(CheckpointErrorCode.ManifestMismatch, error.Code);
    }
}
