using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;
using Xunit.Abstractions;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Processes that are killed while they download, and processes that want the same at the same time.</summary>
public sealed class KilledDownloadTests(ITestOutputHelper output) : IDisposable
{
    // A start of a process takes a tenth of a second and more: 100 of them, as ILGPU_LOADER_KILLS asks for, are nothing for every run.
    private static readonly int Kills = int.Parse(Environment.GetEnvironmentVariable("ILGPU_LOADER_KILLS") ?? "4", CultureInfo.InvariantCulture);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public async Task Download_KilledAgainAndAgain_FetchesNextToNothingTwice()
    {
        await using var hub = await HubDouble.StartAsync();
        // Eight connections of 100 kB a second, in pieces of 5 kB: what is on its way when a process is killed is lost, 40 kB at most, and a process that gets 100 to 400 kB more never gets all.
        var content = new RemoteContent([], 1_500_000 * (long)(Kills + 2), seed: 11);
        var file = AddModel(hub, content);
        file.Served.FailAlways(new RemoteFault { BytesPerSecond = 100_000 });
        var (blob, killed) = (Path.Combine(_folder.Path, "models--acme--model", "blobs", file.Tag), 0);
        var random = new Random(4);
        while (killed < Kills)
        {
            using var process = DownloadProgram.Start(hub.Hub.Address, _folder.Path);
            Assert.Equal("begun", await process.StandardOutput.ReadLineAsync());
            await WaitForBytesAsync(hub, random.Next(100_000, 400_000));
            process.Kill();
            await process.WaitForExitAsync();
            Assert.Equal(OwnProgram.Killed, process.ExitCode);
            Assert.False(File.Exists(blob), $"the blob has its name after {killed} kills");
            killed++;
        }

        file.Served.Faults = _ => null;
        using var last = DownloadProgram.Start(hub.Hub.Address, _folder.Path);
        await last.WaitForExitAsync();
        Assert.Equal(0, last.ExitCode);
        await AssertWholeAsync(blob, file);
        var sent = hub.Storage.BytesSent - (hub.Storage.Requests.Count(request => request["Range"] == "bytes=0-0") * 1L);
        var twice = sent - content.Length;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{killed} kills, {content.Length} bytes, {twice} bytes fetched twice: {100.0 * twice / content.Length:0.00} %"));
        Assert.InRange(twice, 0, content.Length / 20);
        Assert.Equal([blob], Directory.GetFileSystemEntries(Path.GetDirectoryName(blob)!));
    }

    [LinuxFact]
    public async Task Download_EightProcesses_MakeOneDownload()
    {
        await using var hub = await HubDouble.StartAsync();
        var content = new RemoteContent([], 3_000_000, seed: 12);
        var file = AddModel(hub, content);
        // No byte comes before all of them have asked what there is, and whoever is the first once more.
        const int asked = 9;
        var all = WaitForQuestionsAsync(hub, asked);
        file.Served.FailAlways(new RemoteFault { Until = all });
        var processes = Enumerable.Range(0, 8).Select(_ => DownloadProgram.Start(hub.Hub.Address, _folder.Path)).ToArray();
        foreach (var process in processes)
        {
            await process.WaitForExitAsync();
            Assert.Equal(0, process.ExitCode);
            process.Dispose();
        }

        // And the first byte, for which the server is asked whether it gives ranges.
        Assert.Equal(content.Length + 1, hub.Storage.BytesSent);
        await AssertWholeAsync(Path.Combine(_folder.Path, "models--acme--model", "blobs", file.Tag), file);
        Assert.True(all.IsCompletedSuccessfully);
    }

    private static HubDoubleFile AddModel(HubDouble hub, RemoteContent content)
    {
        var repository = hub.Add("acme/model");
        repository.SetRef("main", HubSample.First);
        return repository.Add(HubSample.First, "model.safetensors", content, isLarge: true);
    }

    private static async Task AssertWholeAsync(string blob, HubDoubleFile file) => Assert.Equal(file.Tag, await ContentDigest.OfFileAsync(blob, file.Tag, default));

    private static async Task WaitForQuestionsAsync(HubDouble hub, int count)
    {
        while (hub.Count("GET", "/revision/") < count)
        {
            await Task.Delay(1);
        }
    }

    // Awaited rather than timed: so many more bytes were sent.
    private static async Task WaitForBytesAsync(HubDouble hub, int bytes)
    {
        var end = hub.Storage.BytesSent + bytes;
        while (hub.Storage.BytesSent < end)
        {
            await Task.Delay(1);
        }
    }
}
