using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>huggingface_hub's own readers find what was downloaded here.</summary>
public sealed class HubPythonTests
{
    [PythonHubFact]
    public async Task Read_OurCacheByHuggingfaceHub_FindsTheFiles()
    {
        using var folder = new TemporaryFolder();
        await using var hub = await HubSample.StartAsync();
        using (var downloads = new HubDownloads(HubSample.Options(hub, folder["cache"])))
        {
            await downloads.DownloadSnapshotAsync(HubSample.Tiny);
            await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadFileAsync(HubSample.Tiny, "missing.json"));
        }

        const string script = """
            import sys, huggingface_hub as h
            from huggingface_hub import try_to_load_from_cache as load, _CACHED_NO_EXIST, scan_cache_dir
            cache = sys.argv[1]
            print(open(load("acme/tiny", "sub/dir/file.txt", cache_dir=cache)).read())
            print(load("acme/tiny", "missing.json", cache_dir=cache) is _CACHED_NO_EXIST)
            print(load("acme/tiny", "other.json", cache_dir=cache))
            info = scan_cache_dir(cache)
            print(len(info.repos), info.size_on_disk, len(info.warnings), sorted(f.file_name for r in info.repos for v in r.revisions for f in v.files))
            """;
        Assert.Equal("same\nTrue\nNone\n1 87 0 ['config.json', 'file.txt', 'model.safetensors']\n", await SystemPython.RunAsync(script, folder["cache"]));
    }
}
