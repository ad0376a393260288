using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>Commands on checkpoints that lie on another machine: a server on the loopback.</summary>
[Collection(EnvironmentCollection.Name)]
public sealed class RemoteCommandTests : IAsyncLifetime
{
    private const string Name = "model.safetensors";
    private RemoteServer _server = null!;

    public async Task InitializeAsync() => _server = await RemoteServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Inspect_TenGigabytesInShards_FetchesLessThanTwoMegabytes()
    {
        const int shards = 4;
        const int tensors = 75;
        const long bytes = 10_000_000_000 / shards / tensors / 2 * 2;
        var map = new List<string>();
        for (var shard = 1; shard <= shards; shard++)
        {
            var name = $"model-{shard:D5}-of-{shards:D5}.safetensors";
            var entries = Enumerable.Range(0, tensors).Select(i => (Name: $"model.layers.{shard * tensors + i}.mlp.down_proj.weight", From: i * bytes)).ToArray();
            map.AddRange(entries.Select(entry => $"\"{entry.Name}\":\"{name}\""));
            var header = Encoding.UTF8.GetBytes(
                $"{{{string.Join(',', entries.Select(entry => $"\"{entry.Name}\":{{\"dtype\":\"BF16\",\"shape\":[{bytes / 2}],\"data_offsets\":[{entry.From},{entry.From + bytes}]}}"))}}}");
            _server.Add($"/m/{name}", new RemoteContent([.. BitConverter.GetBytes((long)header.Length), .. header], tensors * bytes));
        }

        _server.Add("/m/model.safetensors.index.json", Encoding.UTF8.GetBytes($"{{\"metadata\":{{}},\"weight_map\":{{{string.Join(',', map)}}}}}"));
        var run = await ToolRun.OfAsync("inspect", _server.AddressOf("/m/model.safetensors.index.json"), "--json");

        Assert.Equal((0, shards * tensors), (run.ExitCode, run.Document("ilgpu-loader/inspect/1").GetProperty("tensors").GetArrayLength()));
        Assert.InRange(_server.BytesSent, 1, 2_000_000);
        var fetched = run.Document("ilgpu-loader/inspect/1").GetProperty("fetched");
        Assert.InRange(fetched.GetProperty("bytes").GetInt64(), 1, _server.BytesSent);
        Assert.Equal(_server.Requests.Count, fetched.GetProperty("requests").GetInt64());
        Assert.Contains("fetched ", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_GgufWithAVocabularyOf150000_FetchesLessThanTenMegabytes()
    {
        var header = new GgufBuilder()
            .Add("general.architecture", "llama")
            .Add("tokenizer.ggml.tokens", Enumerable.Range(0, 150_000).Select(i => $"token{i}").ToArray())
            .Tensor("token_embd.weight", 0, [4], new byte[16])
            .ToBytes();
        _server.Add("/model.gguf", new RemoteContent(header));

        var run = await ToolRun.OfAsync("inspect", _server.AddressOf("/model.gguf"));

        Assert.Equal(0, run.ExitCode);
        Assert.InRange(_server.BytesSent, 1, 10_000_000);
    }

    [Theory]
    [InlineData("plan", "--device", "meta")]
    [InlineData("verify")]
    [InlineData("audit")]
    public async Task Headers_alone_are_fetched_where_nothing_else_is_asked_for(params string[] command)
    {
        var small = SafetensorsBuilder.File($"{{{SafetensorsBuilder.Entry("a", "U8", [1UL << 31], 0, 1UL << 31)}}}");
        _server.Add($"/{Name}", new RemoteContent(small, 1L << 31));

        var run = await ToolRun.OfAsync([command[0], _server.AddressOf(Name), .. command[1..], "--json"]);

        Assert.Equal("", run.ExitCode == 0 ? "" : run.Error);
        Assert.InRange(_server.BytesSent, 1, 2_000_000);
        Assert.True(JsonDocument.Parse(run.Out).RootElement.GetProperty("fetched").GetProperty("bytes").GetInt64() > 0);
    }

    [Fact]
    public async Task Load_ThroughRanges_HasTheBytesOfTheFile()
    {
        using var folder = new TemporaryFolder();
        var bytes = Large();
        var local = folder.Write(Name, bytes);
        _server.Add($"/{Name}", bytes);
        var manifest = folder["manifest.json"];
        Assert.Equal(0, (await ToolRun.OfAsync("hash", local, "--write", manifest)).ExitCode);

        var run = await ToolRun.OfAsync("load", _server.AddressOf(Name), "--device", "host", "--verify", manifest);

        Assert.Equal("", run.ExitCode == 0 ? "" : run.Error);
        // Each byte once, and what was read ahead for the header.
        Assert.InRange(_server.BytesSent, bytes.Length, bytes.Length + (256 << 10));
    }

    [Fact]
    public async Task Convert_ThroughRanges_WritesWhatTheLocalFileBecomes()
    {
        using var folder = new TemporaryFolder();
        var bytes = Large();
        var local = folder.Write(Name, bytes);
        _server.Add($"/{Name}", bytes);

        var fromFile = await ToolRun.OfAsync("convert", local, folder["local.safetensors"], "--dtype", "bf16");
        var fromServer = await ToolRun.OfAsync("convert", _server.AddressOf(Name), folder["remote.safetensors"], "--dtype", "bf16");

        Assert.Equal((0, 0, ""), (fromFile.ExitCode, fromServer.ExitCode, fromServer.ExitCode == 0 ? "" : fromServer.Error));
        Assert.Equal(await File.ReadAllBytesAsync(folder["local.safetensors"]), await File.ReadAllBytesAsync(folder["remote.safetensors"]));
    }

    [Fact]
    public async Task Load_ContentThatChangesMeanwhile_IsAnInvalidCheckpoint()
    {
        var bytes = Large();
        var file = _server.Add($"/{Name}", bytes);
        file.Faults = request => request > 2 ? new RemoteFault { EntityTag = "\"second\"" } : null;

        var run = await ToolRun.OfAsync("load", _server.AddressOf(Name), "--device", "host", "--json");

        run.ErrorDocument(nameof(CheckpointErrorCode.FileChanged), 4);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_named_and_ends_with_3()
    {
        var run = await ToolRun.OfAsync("inspect", _server.AddressOf("/nothing.safetensors"), "--json");
        var error = run.ErrorDocument(nameof(RemoteFailure.EntryMissing), 3);
        Assert.Contains("nothing.safetensors", error.GetProperty("file").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_not_there_ends_with_8()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        // Bound, and not listening: it refuses each connection.
        var run = await ToolRun.OfAsync("inspect", $"http://127.0.0.1:{((System.Net.IPEndPoint)listener.LocalEndPoint!).Port}/{Name}", "--json", "--retries", "0");
        run.ErrorDocument(nameof(RemoteFailure.Network), 8);
    }

    [Theory]
    [InlineData("ftp://host/model.safetensors")]
    [InlineData("file:///etc/passwd")]
    public async Task An_address_of_another_scheme_is_refused_with_those_that_are_known(string address)
    {
        var run = await ToolRun.OfAsync("inspect", address);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("hf://", run.Error, StringComparison.Ordinal);
        Assert.Contains("https://", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("257")]
    public async Task Connections_out_of_range_are_refused(string connections)
    {
        var run = await ToolRun.OfAsync("load", _server.AddressOf(Name), "--connections", connections);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("from 1 to 256", run.Error, StringComparison.Ordinal);
    }

    private static byte[] Large()
    {
        var random = new Random(11);
        byte[] Bytes(int count)
        {
            var bytes = new byte[count];
            for (var i = 0; i < count; i += 4)
            {
                BitConverter.TryWriteBytes(bytes.AsSpan(i), (float)random.NextDouble());
            }

            return bytes;
        }

        return new SafetensorsBuilder()
            .Add("large", "F32", [1024, 1024], Bytes(4 << 20))
            .Add("small", "F32", [16], Bytes(64))
            .Add("other", "F32", [512, 1024], Bytes(2 << 20))
            .ToBytes();
    }
}
