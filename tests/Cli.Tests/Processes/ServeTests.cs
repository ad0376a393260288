using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class ServeTests
{
    // A machine that runs other tests at the same time.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private static string Model => Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");

    [LinuxFact]
    [SupportedOSPlatform("linux")]
    public async Task Serve_loads_and_answers_until_it_is_asked_to_stop()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["token"], "secret-of-tests\n");
        File.SetUnixFileMode(folder["token"], UnixFileMode.UserRead);
        using var tool = ToolProcess.Start("serve", Model, "--urls", "http://127.0.0.1:0", "--device", "host", "--dtype", "f32", "--token-file", folder["token"], "--json");
        var document = JsonDocument.Parse((await tool.Out.ReadLineAsync().WaitAsync(Bound))!).RootElement;
        Assert.Equal("ilgpu-loader/serve/1", document.GetProperty("schema").GetString());
        var served = Assert.Single(document.GetProperty("models").EnumerateArray());
        Assert.Equal(("tiny-llama", Model, "host"), (served.GetProperty("name").GetString(), served.GetProperty("path").GetString(), served.GetProperty("device").GetString()));

        using var client = new HttpClient { BaseAddress = new Uri(document.GetProperty("addresses")[0].GetString()!) };
        await UntilReadyAsync(client);
        Assert.Equal(0, (await ToolRun.OfAsync("health", client.BaseAddress.ToString(), "--ready")).ExitCode);
        var model = await GetAsync(client, "/api/models/tiny-llama");
        Assert.Equal("Loaded", model.GetProperty("model").GetProperty("state").GetString());
        Assert.Equal("F32", Assert.Single(model.GetProperty("model").GetProperty("dtypes").EnumerateArray()).GetProperty("dtype").GetString());
        var device = Assert.Single((await GetAsync(client, "/api/models")).GetProperty("devices").EnumerateArray());
        Assert.Equal(model.GetProperty("model").GetProperty("memoryBytes").GetInt64(), device.GetProperty("liveBytes").GetInt64());
        var tensors = await GetAsync(client, "/api/models/tiny-llama/tensors?filter=embed&limit=1");
        Assert.Equal("model.embed_tokens.weight", tensors.GetProperty("tensors")[0].GetProperty("name").GetString());
        Assert.Contains("ilgpu_loader_bytes_read", await client.GetStringAsync(new Uri("/metrics", UriKind.Relative)), StringComparison.Ordinal);

        client.DefaultRequestHeaders.Authorization = new("Bearer", "secret-of-tests");
        using var events = await client.GetStreamAsync(new Uri("/api/events", UriKind.Relative));
        using var unloaded = await client.PostAsync(new Uri("/api/models/tiny-llama/unload", UriKind.Relative), null);
        Assert.Equal(HttpStatusCode.Accepted, unloaded.StatusCode);
        using var reader = new StreamReader(events);
        while (await reader.ReadLineAsync().WaitAsync(Bound) is var line && !(line!.StartsWith("data:", StringComparison.Ordinal) && line.Contains("\"state\":\"Unloaded\"", StringComparison.Ordinal)))
        {
            // Until the model is gone.
        }

        Assert.Equal(0, (await GetAsync(client, "/api/models/tiny-llama")).GetProperty("model").GetProperty("memoryBytes").GetInt64());

        // With the stream open.
        tool.Terminate();
        var run = await tool.EndAsync(Bound);
        Assert.Equal((0, ""), (run.ExitCode, run.Out));
        Assert.DoesNotContain("secret-of-tests", run.Error, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Ctrl_C_ends_a_service_well_and_people_and_the_service_manager_are_told_where_it_listens()
    {
        using var folder = new TemporaryFolder();
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(folder["notify"]));
        using var tool = ToolProcess.StartWith([$"NOTIFY_SOCKET={folder["notify"]}"], "serve", Model, Model, "--urls", "http://127.0.0.1:0", "--device", "host", "-q");
        var said = await tool.Out.ReadLineAsync().WaitAsync(Bound);
        Assert.Matches("^serving 2 models on http://127.0.0.1:[0-9]+$", said);
        Assert.Equal("READY=1", await ReceiveAsync(manager));
        tool.Interrupt();
        Assert.Equal("STOPPING=1", await ReceiveAsync(manager));
        var run = await tool.EndAsync(Bound);
        Assert.Equal((0, "", ""), (run.ExitCode, run.Out, run.Error));
    }

    [LinuxFact]
    public async Task Model_that_cannot_be_loaded_ends_the_service_with_its_own_code()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllBytesAsync(folder["broken.safetensors"], [8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        foreach (var (args, exitCode, text) in new (string[], int, string)[]
        {
            ([folder["none.safetensors"]], 3, "none.safetensors"),
            ([folder["broken.safetensors"]], 4, "broken.safetensors"),
            ([Model, "--device", "cuda:77"], 7, "cuda:77"),
        })
        {
            using var tool = ToolProcess.Start(["serve", .. args, "--urls", "http://127.0.0.1:0", "-q"]);
            var run = await tool.EndAsync(Bound);
            Assert.Equal(exitCode, run.ExitCode);
            Assert.Contains(run.Error.Split('\n'), line => line.StartsWith("error: ", StringComparison.Ordinal) && line.Contains(text, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Every_problem_of_the_configuration_has_a_line()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["c.json"], """{"IlgpuLoader":{"Models":{"llama":{"Path":"/x","Devcie":"host"}},"Http":{"MaximumPageSize":0}}}""");
        var run = await ToolRun.OfAsync("serve", "--config", folder["c.json"], "--urls", "http://0.0.0.0:0");
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        var lines = run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, line => Assert.StartsWith("error: IlgpuLoader:", line, StringComparison.Ordinal));
        Assert.Equal(3, lines.Length);
        (await ToolRun.OfAsync("serve", "--config", folder["c.json"], "--json")).ErrorDocument("Configuration", 2);
    }

    [Fact]
    public async Task Missing_configuration_and_a_port_that_is_taken_are_unreadable()
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("serve", "--config", folder["none.json"]);
        Assert.Equal((3, $"error: There is no configuration file '{folder["none.json"]}'.\n"), (run.ExitCode, run.Error));
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        run = await ToolRun.OfAsync("serve", "--urls", $"http://{listener.LocalEndpoint}", "-q");
        Assert.Equal((3, ""), (run.ExitCode, run.Out));
        Assert.Contains($"{listener.LocalEndpoint}", run.Error, StringComparison.Ordinal);
        Assert.Contains("--urls", run.Error, StringComparison.Ordinal);
    }

    private static async Task UntilReadyAsync(HttpClient client)
    {
        using var deadline = new CancellationTokenSource(Bound);
        while (true)
        {
            using var response = await client.GetAsync(new Uri("/readyz", UriKind.Relative), deadline.Token);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                return;
            }

            await Task.Delay(10, deadline.Token);
        }
    }

    private static async Task<JsonElement> GetAsync(HttpClient client, string path) =>
        JsonDocument.Parse(await client.GetByteArrayAsync(new Uri(path, UriKind.Relative))).RootElement;

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        var buffer = new byte[512];
        return Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer).WaitAsync(Bound));
    }
}
