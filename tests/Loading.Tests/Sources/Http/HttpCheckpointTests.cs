using System.Text;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HttpCheckpointTests
{
    private static readonly (string, DType, long[])[] First = [("a.weight", DType.F32, [300, 400]), ("b.weight", DType.BF16, [7])];

    private static readonly (string, DType, long[])[] Second = [("c.weight", DType.F16, [64, 64])];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_loads_whole_with_its_configuration(bool withoutRanges)
    {
        var sample = Sample.Make(1, First);
        await using var server = await RemoteServer.StartAsync();
        server.Add("models/my model.safetensors", sample.File).FailAlways(new RemoteFault { WithoutRanges = withoutRanges });
        server.Add("models/config.json", """{"model_type":"llama"}"""u8.ToArray());
        using var remote = RemoteCheckpoints.Create();

        await using var checkpoint = await OpenAsync(remote, server.AddressOf("models/my%20model.safetensors"));

        await AssertLoadsAsync(checkpoint, sample);
        Assert.Equal("llama", checkpoint.Config?.ModelType);
        Assert.Equal("my model.safetensors", checkpoint.Files.Single().Name);
        Assert.Equal(server.AddressOf("models/my model.safetensors"), checkpoint.Files.Single().Path);
        Assert.True(remote.Traffic.Bytes >= sample.File.Length);
    }

    [Theory]
    [InlineData(null, 1)]
    [InlineData("\"tag\"", 0)]
    public async Task A_file_that_only_its_length_holds_is_opened_with_a_warning(string? tag, int warnings)
    {
        var log = new RecordedLog();
        var sample = Sample.Make(1, First);
        await using var server = await RemoteServer.StartAsync();
        server.Add("model.safetensors", sample.File).EntityTag = tag;
        using var remote = RemoteCheckpoints.Create(new RemoteOptions { Logger = log });

        await using var checkpoint = await OpenAsync(remote, server.AddressOf("model.safetensors"));

        Assert.Equal(warnings, log.Events.Count(name => name == "NotPinned"));
    }

    [Theory]
    [InlineData("models/")]
    [InlineData("models/model.safetensors.index.json")]
    public async Task Shards_are_found_beside_their_index(string address)
    {
        var (one, two) = (Sample.Make(1, First), Sample.Make(2, Second));
        await using var server = await RemoteServer.StartAsync();
        var map = First.Select(tensor => (tensor.Item1, "model-00001-of-00002.safetensors")).Concat(Second.Select(tensor => (tensor.Item1, "model-00002-of-00002.safetensors")));
        server.Add("models/model.safetensors.index.json", Index(map));
        server.Add("models/model-00001-of-00002.safetensors", one.File);
        server.Add("models/model-00002-of-00002.safetensors", two.File);
        using var remote = RemoteCheckpoints.Create();

        await using var checkpoint = await OpenAsync(remote, server.AddressOf(address));

        await using var model = await LoadAsync(checkpoint);
        foreach (var (name, bytes) in one.Tensors.Concat(two.Tensors))
        {
            Assert.Equal(bytes, model[name].AsSpan<byte>().ToArray());
        }
    }

    [Fact]
    public async Task A_shard_that_is_not_there_is_named()
    {
        await using var server = await RemoteServer.StartAsync();
        server.Add("model.safetensors.index.json", Index([("a", "one.safetensors"), ("b", "two.safetensors")]));
        server.Add("one.safetensors", SafetensorsBuilder.Tiny());
        using var remote = RemoteCheckpoints.Create();

        var failure = await Assert.ThrowsAsync<InvalidCheckpointException>(() => OpenAsync(remote, server.AddressOf("model.safetensors.index.json")));

        Assert.Equal(CheckpointErrorCode.ShardMissing, failure.Code);
        Assert.Contains("two.safetensors", failure.Message);
    }

    [Theory]
    [InlineData("../secret.safetensors")]
    [InlineData("https://other/model.safetensors")]
    [InlineData("a\\\\b.safetensors")]
    public async Task An_index_leads_nowhere_else(string shard)
    {
        await using var server = await RemoteServer.StartAsync();
        server.Add("models/model.safetensors.index.json", Encoding.UTF8.GetBytes($$$"""{"weight_map":{"a":"{{{shard}}}"}}"""));
        server.MapFallback(context => throw new InvalidOperationException($"{context.Request.Path} was asked for."));
        using var remote = RemoteCheckpoints.Create();

        var failure = await Assert.ThrowsAnyAsync<Exception>(() => OpenAsync(remote, server.AddressOf("models/model.safetensors.index.json")));

        Assert.True(
            failure is InvalidCheckpointException { Code: CheckpointErrorCode.IndexPathUnsafe } or RemoteException { Failure: RemoteFailure.Unsafe }, failure.ToString());
        Assert.All(server.Requests, request => Assert.Equal("/models/model.safetensors.index.json", request.Path));
    }

    [Fact]
    public async Task The_query_of_an_address_is_for_its_file_alone()
    {
        await using var server = await RemoteServer.StartAsync();
        server.Add("model.safetensors", SafetensorsBuilder.Tiny()).Headers["Content-Disposition"] = "attachment; filename=\"../../evil.safetensors\"";
        // What lies beside a signed address may not be seen without a signature.
        server.Add("config.json", "{}"u8.ToArray()).FailAlways(new RemoteFault { Status = 403 });
        using var remote = RemoteCheckpoints.Create();

        await using var checkpoint = await OpenAsync(remote, server.AddressOf("model.safetensors?signature=abc"));

        Assert.Equal("model.safetensors", checkpoint.Files.Single().Name);
        Assert.DoesNotContain("abc", checkpoint.Files.Single().Path);
        Assert.All(server.Requests, request => Assert.Equal(request.Path == "/model.safetensors" ? "?signature=abc" : "", request.Query));
        Assert.Contains(server.Requests, request => request.Path == "/config.json");
    }

    [Fact]
    public async Task What_is_not_there_says_how_folders_are_written()
    {
        await using var server = await RemoteServer.StartAsync();
        using var remote = RemoteCheckpoints.Create();

        var file = await Assert.ThrowsAsync<FileNotFoundException>(() => OpenAsync(remote, server.AddressOf("models")));
        var folder = await Assert.ThrowsAsync<FileNotFoundException>(() => OpenAsync(remote, server.AddressOf("models/")));

        Assert.Contains("there is no such file (404 Not Found). The address of a folder ends with a slash.", file.Message);
        Assert.Contains("HTTP lists no files", folder.Message);
        Assert.Contains("pytorch_model.bin", folder.Message);
    }

    [Theory]
    [InlineData("a%2Fb.safetensors")]
    [InlineData("a%5Cb.safetensors")]
    [InlineData("%2e%2e%2fb.safetensors")]
    [InlineData("a%00.safetensors")]
    [InlineData("a%0d%0ab.safetensors")]
    public async Task Names_that_lead_elsewhere_are_refused(string name)
    {
        using var remote = RemoteCheckpoints.Create();

        var failure = await Assert.ThrowsAsync<RemoteException>(() => OpenAsync(remote, "http://127.0.0.1:1/models/" + name));

        Assert.Equal(RemoteFailure.Unsafe, failure.Failure);
        Assert.Equal(0, remote.Traffic.Requests);
    }

    [Theory]
    [InlineData("https://host//other/model.safetensors.index.json?signature=abc", "https://host//other/")]
    [InlineData("https://host//model.safetensors", "https://host//")]
    [InlineData("https://host//other/", "https://host//other/")]
    [InlineData("https://host/model.safetensors", "https://host/")]
    [InlineData("https://host/a%20b/model.safetensors", "https://host/a%20b/")]
    public async Task The_folder_of_an_address_is_of_its_host(string address, string folder)
    {
        await using var bench = await HttpBench.StartAsync();

        var location = await new HttpScheme(bench.Http, bench.Reading).LocateAsync(address, CancellationToken.None);

        Assert.Equal(folder, location.Place.Name);
    }

    [Theory]
    [InlineData("https://user:password@host/model.safetensors", "leave them out")]
    [InlineData("https://", "is no address")]
    [InlineData("https://host/models/?signature=abc", "is a folder with a query")]
    [InlineData("gopher://host/model.safetensors", "has no scheme that is known")]
    public async Task Addresses_of_no_known_form_are_wrong_arguments(string address, string problem)
    {
        using var remote = RemoteCheckpoints.Create();

        var failure = await Assert.ThrowsAsync<ArgumentException>(() => OpenAsync(remote, address));

        Assert.Contains(problem, failure.Message);
        Assert.DoesNotContain("password", failure.Message.Replace("a user or a password", "", StringComparison.Ordinal));
        Assert.DoesNotContain("abc", failure.Message);
    }

    [Theory]
    [InlineData("gguf", ".gguf")]
    [InlineData("torch", ".pt")]
    public async Task Golden_files_of_other_formats_are_what_they_are_in_memory(string set, string ending)
    {
        await using var server = await RemoteServer.StartAsync();
        using var remote = RemoteCheckpoints.Create();
        var compared = 0;
        foreach (var name in GoldenArchive.Names(set).Where(name => name.EndsWith(ending, StringComparison.Ordinal)).Order(StringComparer.Ordinal).Take(8))
        {
            var bytes = GoldenArchive.Read(set, name);
            var file = $"file{compared}{ending}";
            server.Add(file, bytes);
            Checkpoint local;
            try
            {
                local = await Checkpoint.OpenAsync(new MemorySource(bytes, file));
            }
            catch (CheckpointException)
            {
                // Refused on purpose, and here as well.
                await Assert.ThrowsAnyAsync<CheckpointException>(() => OpenAsync(remote, server.AddressOf(file)));
                continue;
            }

            await using var closing = local;
            await using var checkpoint = await OpenAsync(remote, server.AddressOf(file));
            // Also where numbers are turned round, and where records are inflated.
            Assert.All(checkpoint.Files, opened => Assert.NotNull(opened.Source.FindRemote()));
            await using var expected = await LoadAsync(local);
            await using var model = await LoadAsync(checkpoint);
            foreach (var tensor in local.Tensors)
            {
                Assert.Equal(expected[tensor.Name].AsSpan<byte>().ToArray(), model[tensor.Name].AsSpan<byte>().ToArray());
            }

            compared++;
        }

        Assert.True(compared > 2);
    }

    [Fact]
    public async Task A_file_that_changes_under_a_load_is_an_error()
    {
        var sample = Sample.Make(1, First);
        await using var server = await RemoteServer.StartAsync();
        var file = server.Add("model.safetensors", sample.File);
        using var remote = RemoteCheckpoints.Create();
        await using var checkpoint = await OpenAsync(remote, server.AddressOf("model.safetensors"));
        (file.Content, file.EntityTag) = (new RemoteContent(Sample.Make(2, First).File), "\"second\"");

        var failure = await Assert.ThrowsAnyAsync<CheckpointException>(() => LoadAsync(checkpoint));

        Assert.Equal(CheckpointErrorCode.FileChanged, failure.Code);
    }

    [Fact]
    public async Task Headers_of_10_GB_of_safetensors_are_less_than_2_MB()
    {
        // The layers of a model of 8 billion parameters in four shards, each tensor with its name and its place.
        const int shards = 4, layers = 80;
        long[] shape = [4096, 4096];
        const long bytes = 2L * 4096 * 4096;
        await using var server = await RemoteServer.StartAsync();
        var map = new List<(string, string)>();
        long total = 0;
        for (var shard = 0; shard < shards; shard++)
        {
            var name = $"model-{shard + 1:00000}-of-00004.safetensors";
            var names = Enumerable.Range(0, layers).Select(i => $"model.layers.{(shard * layers) + i}.self_attn.q_proj.weight").ToArray();
            var entries = names.Select((tensor, i) => SafetensorsBuilder.Entry(tensor, "BF16", shape.Select(size => (ulong)size), (ulong)(i * bytes), (ulong)((i + 1) * bytes)));
            var head = SafetensorsBuilder.File($"{{{string.Join(',', entries)}}}");
            var content = new RemoteContent(head, layers * bytes, seed: 1);
            server.Add(name, content);
            map.AddRange(names.Select(tensor => (tensor, name)));
            total += content.Length;
        }

        server.Add("model.safetensors.index.json", Index(map));
        using var remote = RemoteCheckpoints.Create();

        await using var checkpoint = await OpenAsync(remote, server.Address.AbsoluteUri);

        Assert.Equal(shards * layers, checkpoint.Tensors.Length);
        Assert.True(total > 10_000_000_000);
        Assert.InRange(remote.Traffic.Bytes, 1, 2_000_000);
        Assert.InRange(remote.Traffic.Requests, 1, 25);
    }

    [Fact]
    public async Task The_header_of_a_GGUF_file_with_150_000_tokens_is_less_than_10_MB()
    {
        var builder = new GgufBuilder()
            .Add("general.architecture", "llama")
            .Add("tokenizer.ggml.tokens", Enumerable.Range(0, 150_000).Select(i => $"token{i}").ToArray())
            .Add("tokenizer.ggml.merges", Enumerable.Range(0, 150_000).Select(i => $"tok en{i}").ToArray())
            .Add("tokenizer.ggml.token_type", Enumerable.Range(0, 150_000).Select(_ => 1).ToArray())
            .Tensor("a", 0, [1 << 20], new byte[4 << 20]);
        var head = builder.ToBytes();
        await using var server = await RemoteServer.StartAsync();
        server.Add("model.gguf", head);
        using var remote = RemoteCheckpoints.Create();

        await using var checkpoint = await OpenAsync(remote, server.AddressOf("model.gguf"));

        Assert.Equal("a", checkpoint.Tensors.Single().Name);
        Assert.InRange(builder.HeaderBytes().Length, 4_000_000, 9_000_000);
        // Beyond the header at most a piece that was begun, and once more an array of numbers that lies across two pieces.
        Assert.InRange(remote.Traffic.Bytes, 1, Math.Min(10_000_000, builder.HeaderBytes().Length + (2 << 20)));
        Assert.InRange(remote.Traffic.Requests, 1, 16);
    }

    private static byte[] Index(IEnumerable<(string Tensor, string File)> map) =>
        JsonSerializer.SerializeToUtf8Bytes(new { weight_map = map.ToDictionary(entry => entry.Tensor, entry => entry.File) });

    private static Task<Checkpoint> OpenAsync(RemoteCheckpoints remote, string address) =>
        Checkpoint.OpenAsync(address, CheckpointOptions.Default with { Remote = remote });

    private static Task<LoadedModel> LoadAsync(Checkpoint checkpoint)
    {
        var loader = new CheckpointLoader();
        return loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = new HostDevice() }));
    }

    private static async Task AssertLoadsAsync(Checkpoint checkpoint, Sample sample)
    {
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = new HostDevice() });
        await using var model = await loader.LoadAsync(plan);
        sample.AssertLoaded(plan, model);
    }
}
