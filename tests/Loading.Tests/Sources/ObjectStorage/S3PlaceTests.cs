using System.Net;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What of a storage's answers is a folder, and what is in it.</summary>
public sealed class S3PlaceTests : IDisposable
{
    private static readonly S3Address Folder = new("bucket", "a");

    private readonly RemoteReading _reading = new(RemoteOptions.Default, TimeProvider.System);

    public void Dispose() => _reading.Dispose();

    [Fact]
    public async Task List_OfSeveralPages_HasTheFilesDirectlyThere()
    {
        using var storage = new ScriptedStorage(request => request.RequestUri!.Query.Contains("continuation-token=t2", StringComparison.Ordinal) ? ScriptedStorage.Page(["a/3.safetensors"])
            : request.RequestUri.Query.Contains("continuation-token=t1", StringComparison.Ordinal) ? ScriptedStorage.Page(["a/2.safetensors"], "t2")
            : ScriptedStorage.Page(["a/", "a/1.safetensors"], "t1"));
        using var client = storage.Client();
        var place = new S3Place(client, _reading, Folder);
        Assert.Equal(["1.safetensors", "2.safetensors", "3.safetensors"], await place.ListAsync());
        Assert.All(storage.Requests, request => Assert.Contains("delimiter=%2F", request.RequestUri!.Query, StringComparison.Ordinal));
        Assert.All(storage.Requests, request => Assert.Contains("prefix=a%2F", request.RequestUri!.Query, StringComparison.Ordinal));
        // Nobody is asked again for what was listed.
        Assert.True(await place.ExistsAsync("2.safetensors"));
        Assert.False(await place.ExistsAsync("config.json"));
        Assert.Equal(3, storage.Requests.Count);
    }

    [Fact]
    public async Task List_OfHostileKeys_LeavesThemOut()
    {
        using var storage = new ScriptedStorage(_ => ScriptedStorage.Page(["a/..", "a/.", "a/b/../c", "a/x\\y", "a/x\u202ey", "other/z", "a/good.safetensors"]));
        using var client = storage.Client();
        Assert.Equal(["good.safetensors"], await new S3Place(client, _reading, Folder).ListAsync());
    }

    [Theory]
    [InlineData("..")]
    [InlineData("b/../../c")]
    [InlineData("")]
    [InlineData("x\ny")]
    public async Task Open_OfWhatIsNoName_AsksNobody(string name)
    {
        using var storage = new ScriptedStorage(_ => ScriptedStorage.Head(1));
        using var client = storage.Client();
        var place = new S3Place(client, _reading, Folder);
        Assert.Equal(RemoteFailure.Unsafe, (await Assert.ThrowsAsync<RemoteException>(async () => await place.OpenAsync(name))).Failure);
        Assert.Equal(RemoteFailure.Unsafe, (await Assert.ThrowsAsync<RemoteException>(async () => await place.ExistsAsync(name))).Failure);
        Assert.Empty(storage.Requests);
    }

    [Fact]
    public async Task Open_OfWhatIsNotThere_IsAFileThatIsNotFound()
    {
        using var storage = Refusing(HttpStatusCode.NotFound, HttpStatusCode.OK);
        using var client = storage.Client();
        var exception = await Assert.ThrowsAsync<FileNotFoundException>(async () => await new S3Place(client, _reading, Folder).OpenAsync("none.safetensors"));
        Assert.Equal("s3://bucket/a/none.safetensors", exception.FileName);
        Assert.Equal(RemoteFailure.EntryMissing, Assert.IsType<RemoteException>(exception.InnerException).Failure);
    }

    [Fact]
    public async Task List_OfMoreKeysThanTheSettingsAllow_Throws()
    {
        var page = 0;
        using var storage = new ScriptedStorage(_ => ScriptedStorage.Page([$"a/{page}1", $"a/{page}2"], $"t{page++}"));
        using var client = storage.Client(settings: ScriptedStorage.Settings with { MaximumKeys = 5 });
        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(async () => await new S3Place(client, _reading, Folder).ListAsync());
        Assert.Contains("MaximumKeys", exception.Message, StringComparison.Ordinal);
        Assert.Equal(3, storage.Requests.Count);
    }

    [Fact]
    public async Task List_OfEmptyPagesWithoutEnd_Throws()
    {
        var page = 0;
        using var storage = new ScriptedStorage(_ => ScriptedStorage.Page([], $"t{page++}"));
        using var client = storage.Client(settings: ScriptedStorage.Settings with { MaximumKeys = 5 });
        await Assert.ThrowsAsync<CheckpointLimitException>(async () => await new S3Place(client, _reading, Folder).ListAsync());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("same")]
    public async Task List_ThatSaysNotWhereItGoesOn_Throws(string? next)
    {
        using var storage = new ScriptedStorage(_ => ScriptedStorage.Page(["a/1"], next, isTruncated: true));
        using var client = storage.Client();
        var exception = await Assert.ThrowsAsync<RemoteException>(async () => await new S3Place(client, _reading, Folder).ListAsync());
        Assert.Equal(RemoteFailure.Network, exception.Failure);
    }

    [Theory]
    [InlineData(HttpStatusCode.OK, HttpStatusCode.OK, true)]
    [InlineData(HttpStatusCode.NotFound, HttpStatusCode.OK, false)]
    // S3 refuses what is missing where the bucket may not be listed.
    [InlineData(HttpStatusCode.Forbidden, HttpStatusCode.Forbidden, false)]
    public async Task Exists_OfAnAnswer_IsTold(HttpStatusCode head, HttpStatusCode list, bool exists)
    {
        using var storage = Refusing(head, list);
        using var client = storage.Client();
        Assert.Equal(exists, await new S3Place(client, _reading, Folder).ExistsAsync("config.json"));
    }

    [Fact]
    public async Task Exists_OfWhatMayBeListedAndNotRead_Throws()
    {
        using var storage = Refusing(HttpStatusCode.Forbidden, HttpStatusCode.OK);
        using var client = storage.Client();
        var exception = await Assert.ThrowsAsync<RemoteException>(async () => await new S3Place(client, _reading, Folder).ExistsAsync("config.json"));
        Assert.Equal(RemoteFailure.Unauthorized, exception.Failure);
    }

    [Fact]
    public async Task Locate_OfAKeyAndOfAPrefix_IsAFileAndAFolder()
    {
        using var storage = new ScriptedStorage(request => request.Method == HttpMethod.Head
            ? request.RequestUri!.AbsolutePath == "/bucket/a/m.safetensors" ? ScriptedStorage.Head(9) : new HttpResponseMessage(HttpStatusCode.NotFound)
            : ScriptedStorage.Page(request.RequestUri!.Query.Contains("prefix=a%2F", StringComparison.Ordinal) ? ["a/m.safetensors"] : []));
        using var client = storage.Client();
        var scheme = new S3Scheme(client, _reading);
        var file = await scheme.LocateAsync("s3://bucket/a/m.safetensors", default);
        Assert.Equal(("s3://bucket/a", "m.safetensors", "s3://bucket/a/m.safetensors"), (file.Place.Name, file.File, file.Place.PathOf("m.safetensors")));
        var folder = await scheme.LocateAsync("s3://bucket/a/", default);
        Assert.Equal(("s3://bucket/a", null), (folder.Place.Name, folder.File));
        Assert.Equal("s3://bucket/a", (await scheme.LocateAsync("s3://bucket/a", default)).Place.Name);
        var exception = await Assert.ThrowsAsync<RemoteException>(async () => await scheme.LocateAsync("s3://bucket/none", default));
        Assert.Equal((RemoteFailure.EntryMissing, "s3://bucket/none"), (exception.Failure, exception.Address));
    }

    [Fact]
    public async Task Locate_OfWhatMayNotBeRead_Throws()
    {
        using var storage = Refusing(HttpStatusCode.Forbidden, HttpStatusCode.Forbidden);
        using var client = storage.Client();
        var exception = await Assert.ThrowsAsync<RemoteException>(async () => await new S3Scheme(client, _reading).LocateAsync("s3://bucket/a", default));
        Assert.Equal(RemoteFailure.Unauthorized, exception.Failure);
    }

    [Fact]
    public async Task Glob_OfSeveralPages_HasWhatFitsAndIsAnAddress()
    {
        using var storage = new ScriptedStorage(request => request.RequestUri!.Query.Contains("continuation-token=t1", StringComparison.Ordinal)
            ? ScriptedStorage.Page(["a/b/model-rank-0-part-1.safetensors", "a/../model-rank-0-part-2.safetensors", "a/c/"])
            : ScriptedStorage.Page(["a/", "a/config.json", "a/model-rank-0-part-0.safetensors", "a/old-model-rank-0-part-0.safetensors"], "t1"));
        using var glob = new S3Glob(storage.Client());
        string[] all = ["s3://bucket/a/config.json", "s3://bucket/a/model-rank-0-part-0.safetensors", "s3://bucket/a/old-model-rank-0-part-0.safetensors", "s3://bucket/a/b/model-rank-0-part-1.safetensors"];
        Assert.Equal(all, await glob.GlobAsync("s3://bucket/a"));
        Assert.Equal(all[1..], await glob.GlobAsync("s3://bucket/a", ["*model-rank-0-part-*.safetensors"]));
        Assert.Equal([all[1], all[3]], await glob.GlobAsync("s3://bucket/a", ["*.json", "*.safetensors"], ["*/old-*", "*.json"]));
        Assert.Empty(await glob.GlobAsync("s3://bucket/a", []));
        Assert.All(storage.Requests, request => Assert.DoesNotContain("delimiter", request.RequestUri!.Query, StringComparison.Ordinal));
    }

    private static ScriptedStorage Refusing(HttpStatusCode head, HttpStatusCode list) => new(request => request.Method == HttpMethod.Head
        ? head == HttpStatusCode.OK ? ScriptedStorage.Head(1) : new HttpResponseMessage(head)
        : list == HttpStatusCode.OK ? ScriptedStorage.Page([]) : ScriptedStorage.Error(list, "AccessDenied"));
}
