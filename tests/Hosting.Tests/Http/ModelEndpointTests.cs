using System.Net;
using System.Text.Json;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class ModelEndpointTests
{
    private static readonly DateTimeOffset At = new(2026, 2, 3, 4, 5, 6, TimeSpan.FromHours(2));

    [Fact]
    public async Task Models_have_all_that_their_status_has()
    {
        await using var server = await RunningServer.StartAsync(new StandInStore("llama", "bert"));
        server.Store.Devices = [HostDevice.Shared];
        server.Store["llama"].Become(status => status with
        {
            State = ModelState.Reloading,
            Since = At,
            IsAvailable = true,
            Path = "/models/llama",
            Layout = HostedLayout.Sharded,
            Device = "cuda:0",
            Format = "safetensors",
            Download = new ModelDownload(1, 2, 30, 40, 2.5),
            Progress = new LoadProgress(25, 100, 1, 3),
            BytesPerSecond = 12.5,
            TensorCount = 3,
            MemoryBytes = 5_000_000_000,
            DTypes = [new DTypeTotal("BF16", 2, 4_999_999_990), new DTypeTotal("I64", 1, 10)],
            Version = 7,
            LoadedAt = At.AddMinutes(-1),
            LastLoad = new CompletedLoad(true, TimeSpan.FromSeconds(2), 100, [new LoadStage("open", TimeSpan.FromSeconds(0.5))]) { OldLayers = 4 },
            Failure = new ModelFailure("DeviceMemory", "no <room>", At, 3, At.AddSeconds(1)) { IsReload = true },
        });

        var document = await server.GetAsync("/api/models");
        Assert.Equal("ilgpu-loader/models/1", document.GetProperty("schema").GetString());
        Assert.Equal("0.1.0", document.GetProperty("version").GetString());
        Assert.False(document.GetProperty("canControl").GetBoolean());
        Assert.False(document.GetProperty("needsToken").GetBoolean());
        Assert.Equal(["bert", "llama"], document.GetProperty("models").EnumerateArray().Select(model => model.GetProperty("name").GetString()));
        Assert.Equal(
            """{"name":"bert","state":"Unloaded","since":"1970-01-01T00:00:00Z","required":true,"available":false,"layout":"Checkpoint","device":"host","tensorCount":0,"memoryBytes":0,"dtypes":[],"version":0}""",
            document.GetProperty("models")[0].GetRawText());
        Assert.Equal(
            """
            {"name":"llama","state":"Reloading","since":"2026-02-03T02:05:06Z","required":true,"available":true,"path":"/models/llama","layout":"Sharded","device":"cuda:0","format":"safetensors",
            "download":{"files":1,"totalFiles":2,"bytes":30,"totalBytes":40,"fraction":0.75,"bytesPerSecond":2.5},
            "progress":{"bytesRead":25,"totalBytes":100,"tensorsLoaded":1,"totalTensors":3,"fraction":0.25,"bytesPerSecond":12.5},"tensorCount":3,"memoryBytes":5000000000,
            "dtypes":[{"dtype":"BF16","tensors":2,"bytes":4999999990},{"dtype":"I64","tensors":1,"bytes":10}],"version":7,"loadedAt":"2026-02-03T02:04:06Z",
            "lastLoad":{"isReload":true,"seconds":2,"bytesRead":100,"bytesPerSecond":50,"oldLayers":4,"stages":[{"name":"open","seconds":0.5}]},
            "failure":{"code":"DeviceMemory","message":"no \u003Croom\u003E","at":"2026-02-03T02:05:06Z","attempt":3,"nextAttemptAt":"2026-02-03T02:05:07Z","isReload":true}}
            """.ReplaceLineEndings(""),
            document.GetProperty("models")[1].GetRawText());
        var device = document.GetProperty("devices")[0];
        Assert.Equal(("host", "Host", HostDevice.Shared.Name), (device.GetProperty("id").GetString(), device.GetProperty("kind").GetString(), device.GetProperty("name").GetString()));
        Assert.Equal(HostDevice.Shared.TotalMemory, device.GetProperty("totalBytes").GetInt64());
        Assert.All(["liveBytes", "liveAllocations", "freeBytes"], name => Assert.True(device.GetProperty(name).GetInt64() >= 0));
    }

    [Fact]
    public async Task One_model_is_found_by_its_name_in_any_case_and_follows_its_status()
    {
        await using var server = await RunningServer.StartAsync();
        Assert.Equal("Unloaded", State(await server.GetAsync("/api/models/LLAMA")));
        server.Store["llama"].Become(ModelState.Loaded);
        var document = await server.GetAsync("/api/models/llama");
        Assert.Equal("ilgpu-loader/model/1", document.GetProperty("schema").GetString());
        Assert.Equal("Loaded", State(document));

        static string? State(JsonElement document) => document.GetProperty("model").GetProperty("state").GetString();
    }

    [Theory]
    [InlineData("/api/models/bert")]
    [InlineData("/api/models/bert/tensors")]
    public async Task Unknown_model_is_a_problem_that_names_those_there_are(string path)
    {
        await using var server = await RunningServer.StartAsync(new StandInStore("llama", "qwen"));
        Assert.Equal("There is no model 'bert'; there are llama, qwen.", await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path), 404, "ModelNotConfigured"));
    }

    [Theory]
    [InlineData("/api/models/%2Fetc%2Fpasswd")]
    [InlineData("/api/models/..%2F..%2F..%2Fetc%2Fpasswd/tensors")]
    [InlineData("/api/models/file:%2F%2F%2Fetc%2Fpasswd")]
    [InlineData("/api/models/C:%5CWindows")]
    public async Task Path_in_a_request_is_a_name_that_there_is_not(string path)
    {
        await using var server = await RunningServer.StartAsync();
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path), 404, "ModelNotConfigured");
        Assert.DoesNotContain("root:", string.Join('\n', server.Log.Entries), StringComparison.Ordinal);
        Assert.Single(server.Store.LookedUp);
    }

    [Theory]
    [InlineData("/api")]
    [InlineData("/api/models/llama/other")]
    [InlineData("/favicon.ico")]
    [InlineData("/page")]
    [InlineData("/api/models/")]
    [InlineData("/metrics/more")]
    public async Task Unknown_path_is_a_problem(string path)
    {
        await using var server = await RunningServer.StartAsync();
        if (path.EndsWith("models/", StringComparison.Ordinal))
        {
            // A slash at the end is the same path.
            Assert.Equal("ilgpu-loader/models/1", (await server.GetAsync(path)).GetProperty("schema").GetString());
        }
        else
        {
            _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path), 404, "NotFound");
        }
    }

    [Theory]
    [InlineData("POST", "/api/models", "GET, HEAD")]
    [InlineData("PUT", "/api/models/llama", "GET, HEAD")]
    [InlineData("DELETE", "/healthz", "GET, HEAD")]
    [InlineData("OPTIONS", "/metrics", "GET, HEAD")]
    [InlineData("POST", "/", "GET, HEAD")]
    [InlineData("POST", "/api/events", "GET, HEAD")]
    [InlineData("GET", "/api/models/llama/load", "POST")]
    [InlineData("HEAD", "/api/models/llama/unload", "POST")]
    public async Task Wrong_method_is_a_problem_that_has_the_right_one(string method, string path, string allow)
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        using var response = await server.SendAsync(new HttpMethod(method), path, $"Bearer {RunningServer.Token}");
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(allow, string.Join(", ", response.Content.Headers.Allow));
        Assert.Empty(server.Store["llama"].Calls);
    }

    [Theory]
    [InlineData("/api/models")]
    [InlineData("/healthz")]
    [InlineData("/")]
    public async Task Head_has_the_headers_alone(string path)
    {
        await using var server = await RunningServer.StartAsync();
        using var whole = await server.SendAsync(HttpMethod.Get, path);
        using var head = await server.SendAsync(HttpMethod.Head, path);
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(whole.Content.Headers.ContentLength, head.Content.Headers.ContentLength);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("/api/models", 200)]
    [InlineData("/api/models/none", 404)]
    [InlineData("/nothing", 404)]
    [InlineData("/healthz", 200)]
    [InlineData("/metrics", 200)]
    public async Task Every_answer_has_the_headers_that_browsers_heed_and_none_that_tells_of_the_server(string path, int status)
    {
        await using var server = await RunningServer.StartAsync();
        using var response = await server.SendAsync(HttpMethod.Get, path);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("no-store", response.Headers.CacheControl!.ToString());
        Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
        Assert.False(response.Headers.Contains("Server"));
    }

    [Fact]
    public async Task Failure_nobody_foresaw_is_a_problem_without_its_text_which_is_in_the_log()
    {
        await using var server = await RunningServer.StartAsync();
        server.Store["llama"].BeforeTensors = () => throw new InvalidOperationException("the cat is on the keyboard");
        var detail = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, "/api/models/llama/tensors"), 500, "Unexpected");
        Assert.DoesNotContain("cat", detail, StringComparison.Ordinal);
        Assert.Contains(server.Log.Entries, entry => entry.Id.Name == "RequestFailed" && entry.Text.Contains("the cat", StringComparison.Ordinal));
    }

    [Fact]
    public void Documents_are_kept_until_a_status_is_another()
    {
        var store = new StandInStore("a", "b");
        var documents = new StatusDocuments(store, new DeviceNumbers(store, TimeSpan.Zero, TimeProvider.System), canControl: true);
        var first = documents.OfAll(needsToken: true);
        Assert.Same(first, documents.OfAll(needsToken: true));
        Assert.Contains("\"needsToken\":false", System.Text.Encoding.UTF8.GetString(documents.OfAll(needsToken: false)), StringComparison.Ordinal);
        Assert.Same(first, documents.OfAll(needsToken: true));
        var b = documents.OfModel(store["b"].Status);
        store["a"].Become(ModelState.Loading);
        Assert.NotSame(first, documents.OfAll(needsToken: true));
        Assert.Contains("Loading", System.Text.Encoding.UTF8.GetString(documents.OfAll(needsToken: true)), StringComparison.Ordinal);
        Assert.Same(b, documents.OfModel(store["b"].Status));
    }
}
