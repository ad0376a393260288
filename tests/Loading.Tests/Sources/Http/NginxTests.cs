using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A server of others: what the doubles say of HTTP is held against it.</summary>
public sealed class NginxTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [NginxFact]
    public async Task Files_are_read_in_ranges_and_held_to_their_tags()
    {
        var sample = Sample.Make(1, [("a", DType.F32, [500, 600]), ("b", DType.I64, [3])]);
        File.WriteAllBytes(_folder["model.safetensors"], sample.File);
        await using var nginx = await SystemNginx.StartAsync(_folder.Path);
        using var remote = RemoteCheckpoints.Create(new RemoteOptions { RangeBytes = 64 << 10 });

        await using (var checkpoint = await Checkpoint.OpenAsync(nginx.Address + "model.safetensors", CheckpointOptions.Default with { Remote = remote }))
        {
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint);
            await using var model = await loader.LoadAsync(plan);
            sample.AssertLoaded(plan, model);
        }

        using var http = new RemoteHttp(RemoteOptions.Default, new RemoteTraffic(), TimeProvider.System);
        var file = await HttpObject.OpenAsync(http, new RemoteRequest(HttpMethod.Get, new Uri(nginx.Address + "model.safetensors")), CancellationToken.None);
        Assert.Equal((sample.File.Length, true), (file.Length, file.TakesRanges));
        Assert.Equal(sample.File[100..200], await HttpBench.ReadAsync(file, 100, 100));

        File.WriteAllBytes(_folder["model.safetensors"], [.. sample.File, 0]);
        var failure = await Assert.ThrowsAsync<InvalidCheckpointException>(() => HttpBench.ReadAsync(file, 100, 100));
        Assert.Equal(CheckpointErrorCode.FileChanged, failure.Code);
    }

    [NginxFact]
    public async Task An_empty_file_and_none_are_told_apart()
    {
        File.WriteAllBytes(_folder["empty"], []);
        await using var nginx = await SystemNginx.StartAsync(_folder.Path);
        using var http = new RemoteHttp(RemoteOptions.Default, new RemoteTraffic(), TimeProvider.System);

        var empty = await HttpObject.OpenAsync(http, new RemoteRequest(HttpMethod.Get, new Uri(nginx.Address + "empty")), CancellationToken.None);
        var missing = await Assert.ThrowsAsync<RemoteException>(
            () => HttpObject.OpenAsync(http, new RemoteRequest(HttpMethod.Get, new Uri(nginx.Address + "missing")), CancellationToken.None));

        Assert.Equal(0, empty.Length);
        Assert.Equal(RemoteFailure.EntryMissing, missing.Failure);
    }

    [NginxFact]
    public async Task Weak_tags_are_no_reason_to_refuse_ranges()
    {
        var bytes = new RemoteContent([], 100_000, seed: 1).Slice(0, 100_000);
        File.WriteAllBytes(_folder["file"], bytes);
        await using var nginx = await SystemNginx.StartAsync(_folder.Path, "add_header ETag 'W/\"weak\"'; etag off;");
        using var http = new RemoteHttp(RemoteOptions.Default, new RemoteTraffic(), TimeProvider.System);

        var file = await HttpObject.OpenAsync(http, new RemoteRequest(HttpMethod.Get, new Uri(nginx.Address + "file")), CancellationToken.None);

        Assert.True(file.TakesRanges);
        Assert.Equal(bytes[10..90_000], await HttpBench.ReadAsync(file, 10, 89_990));
        // The time of the change still pins it.
        File.SetLastWriteTimeUtc(_folder["file"], new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => HttpBench.ReadAsync(file, 10, 10));
    }

    public void Dispose() => _folder.Dispose();
}
