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
        using var downloads = new HubDownloads(HubSample.Options(hub, folder["cache"]));

        var snapshot = await downloads.DownloadSnapshotAsync(HubSample.Tiny);

        Assert.Equal(HubSample.Weights, await File.ReadAllBytesAsync(Path.Combine(snapshot, "model.safetensors")));
        Assert.Empty(hub.Storage.Requests);
    }
}
