using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HubClientTests
{
    [Fact]
    public async Task DownloadSnapshot_HubKeepsItsFilesOnItsOwnHost_TakesWhatTheRedirectSays()
    {
        using var folder = new TemporaryFolder();
        await using var hub = await HubSample.StartAsync();
        hub.StoresOnHub = true;
        var log = new RecordedLog();
        using var downloads = new HubDownloads(HubSample.Options(hub, folder["cache"]), log);

        var snapshot = await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        Assert.Equal(["DownloadBegins", "DownloadEnded"], log.Events.Where(name => name?.StartsWith("Download", StringComparison.Ordinal) == true));
        Assert.Contains($"acme/tiny: 3 files of {7 + HubSample.Weights.Length + 4} bytes are downloaded into {snapshot}", log.Text, StringComparison.Ordinal);

        Assert.Equal(HubSample.Weights, await File.ReadAllBytesAsync(Path.Combine(snapshot, "model.safetensors")));
        Assert.Empty(hub.Storage.Requests);
    }
}
