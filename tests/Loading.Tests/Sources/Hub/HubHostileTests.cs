using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A Hub that wants files to lie where they must not.</summary>
public sealed class HubHostileTests : IAsyncLifetime, IDisposable
{
    private static readonly HubRepository Model = new("acme/model");

    private readonly TemporaryFolder _folder = new();
    private HubDouble _hub = null!;
    private HubDoubleRepository _repository = null!;
    private HubDownloads _downloads = null!;

    public async Task InitializeAsync()
    {
        _hub = await HubDouble.StartAsync();
        _repository = _hub.Add(Model.Name);
        _repository.SetRef("main", HubSample.First);
        _repository.Add(HubSample.First, "x.bin", "content"u8.ToArray());
        _downloads = new HubDownloads(HubSample.Options(_hub, _folder["cache"]));
    }

    public async Task DisposeAsync()
    {
        _downloads.Dispose();
        await _hub.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("../escaped")]
    [InlineData("../../../../../../tmp/escaped")]
    [InlineData("sub/../../escaped")]
    [InlineData("/etc/escaped")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("a/./b")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("..\\escaped")]
    [InlineData("\\\\host\\share\\x")]
    [InlineData("C:\\escaped")]
    [InlineData("C:escaped")]
    [InlineData("a/D:b")]
    [InlineData("a\0b")]
    [InlineData("a\nb")]
    [InlineData("a/.. /b")]
    [InlineData("")]
    public async Task Download_NameThatLeadsElsewhere_IsRefused(string path)
    {
        _repository.ListedBesides.Add(path);
        await AssertRefusedAsync(() => _downloads.DownloadSnapshotAsync(Model));
        await AssertRefusedAsync(() => _downloads.DownloadSnapshotAsync(Model, new HubDownloadOptions { LocalFolder = _folder["local"] }));
        await AssertRefusedAsync(() => _downloads.DownloadWeightsAsync(Model, ["*.bin"]));
    }

    [Fact]
    public async Task Download_NameThatIsTooLong_IsRefused()
    {
        _repository.ListedBesides.Add(new string('a', 256));
        await AssertRefusedAsync(() => _downloads.DownloadSnapshotAsync(Model));
        _repository.ListedBesides[0] = string.Join('/', Enumerable.Repeat("aa", 1000));
        await AssertRefusedAsync(() => _downloads.DownloadSnapshotAsync(Model));
    }

    [Theory]
    [InlineData("../../../escaped")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData(".hidden")]
    [InlineData("x.incomplete")]
    [InlineData("x.lock")]
    [InlineData("x.ilgpu-loader.partial")]
    public async Task Download_TagThatLeadsElsewhere_IsRefused(string tag)
    {
        _repository.Add(HubSample.First, "x.bin", "content"u8.ToArray(), isLarge: true).Tag = tag;
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, "x.bin"));
        _repository.Add(HubSample.First, "x.bin", "content"u8.ToArray()).Tag = tag;
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, "x.bin", new HubDownloadOptions { LocalFolder = _folder["local"] }));
    }

    [Theory]
    [InlineData("../../../escaped")]
    [InlineData("main")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public async Task Download_CommitThatIsNone_IsRefused(string commit)
    {
        _repository.SaidCommit = commit;
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, "x.bin"));
        await AssertRefusedAsync(() => _downloads.DownloadSnapshotAsync(Model));
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, "missing"));
    }

    [Theory]
    [InlineData("../../escaped")]
    [InlineData("/etc/passwd")]
    [InlineData("a\\..\\b")]
    public async Task Download_NamesOfTheCaller_AreRefusedToo(string name)
    {
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, name));
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, "x.bin", new HubDownloadOptions { Revision = name }));
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, name, new HubDownloadOptions { LocalFolder = _folder["local"] }));
        Assert.Empty(_hub.Hub.Requests);
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://host/x")]
    public async Task Download_RedirectToAnotherScheme_IsRefused(string location)
    {
        var file = _repository.Add(HubSample.First, "y.bin", "content"u8.ToArray());
        file.Served.FailAlways(new RemoteFault { Redirect = location });
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, "y.bin"));
    }

    [Theory]
    [InlineData(".git/config")]
    [InlineData("sub/.Git/hooks/post-checkout")]
    [InlineData(".git. /config")]
    [InlineData(".cache/huggingface/download/x.bin.metadata")]
    public async Task Download_NameThatALocalFolderNeedsItself_IsRefused(string path)
    {
        _repository.Add(HubSample.First, path, "content"u8.ToArray());
        await AssertRefusedAsync(() => _downloads.DownloadSnapshotAsync(Model, new HubDownloadOptions { LocalFolder = _folder["local"] }));
        await AssertRefusedAsync(() => _downloads.DownloadFileAsync(Model, path, new HubDownloadOptions { LocalFolder = _folder["local"] }));
    }

    [Fact]
    public async Task Download_SizeThatNoFileHas_IsRefused()
    {
        _hub.Hub.Map("/acme/model/resolve/main/huge.bin", context =>
        {
            context.Response.Headers["X-Repo-Commit"] = HubSample.First;
            context.Response.Headers.ETag = "\"tag\"";
            context.Response.Headers["X-Linked-Size"] = "8796093022209";
            return Task.CompletedTask;
        });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => _downloads.DownloadFileAsync(Model, "huge.bin"));
        Assert.Contains("8796093022209", exception.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["cache"]));
    }

    [Fact]
    public async Task Download_EndlessDescription_Ends()
    {
        _hub.Hub.Map("/api/models/acme/model/revision/main", async context =>
        {
            var spaces = new byte[1 << 20];
            spaces.AsSpan().Fill((byte)' ');
            while (true)
            {
                await context.Response.Body.WriteAsync(spaces, context.RequestAborted);
            }
        });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => _downloads.DownloadSnapshotAsync(Model));
        Assert.Equal(RemoteFailure.Network, exception.Failure);
        Assert.Contains("67108864", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_DescriptionThatIsNone_SaysSo()
    {
        var file = _hub.Hub.Add("/api/models/acme/model/revision/main", "<html>"u8.ToArray());
        Assert.Contains("no JSON", (await Assert.ThrowsAsync<RemoteException>(() => _downloads.DownloadSnapshotAsync(Model))).Message, StringComparison.Ordinal);
        file.Content = new RemoteContent("[]"u8.ToArray());
        Assert.Contains("no commit", (await Assert.ThrowsAsync<RemoteException>(() => _downloads.DownloadSnapshotAsync(Model))).Message, StringComparison.Ordinal);
    }

    private async Task AssertRefusedAsync(Func<Task> download)
    {
        var exception = await Assert.ThrowsAsync<RemoteException>(download);
        Assert.Equal(RemoteFailure.Unsafe, exception.Failure);
        // Locks of models are elsewhere; nothing of the files is anywhere.
        Assert.DoesNotContain(Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories), file => Path.GetExtension(file) != ".lock" && File.ReadAllText(file) == "content");
    }
}
