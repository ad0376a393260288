using System.Net.Sockets;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Where an output goes: through links, never over what is no regular file, never under a name that cannot be.</summary>
public sealed class OutputPathTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxTheory]
    [InlineData("pipe", "a pipe")]
    [InlineData("socket", "a socket")]
    [InlineData("folder", "a folder")]
    [InlineData("/dev/null", "a character device")]
    [InlineData("link to a device", "a character device")]
    public void File_OverWhatIsNoRegularFile_IsRefusedAndSaysWhatItIs(string target, string kind)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var path = target.StartsWith('/') ? target : _folder[target];
        switch (target)
        {
            case "pipe":
                NamedPipe.Create(path);
                break;
            case "socket":
                socket.Bind(new UnixDomainSocketEndPoint(path));
                break;
            case "folder":
                Directory.CreateDirectory(path);
                break;
            case "link to a device":
                File.CreateSymbolicLink(path, "/dev/null");
                break;
            default:
                break;
        }

        var calls = new RecordingCalls();
        var exception = Assert.Throws<IOException>(() => AtomicFile.Create(path, 0, calls));
        Assert.Equal($"{path}: this is {kind}, which is never replaced by a file; choose another name.", exception.Message);
        Assert.Empty(calls.Steps);
        Assert.Equal(kind == "a folder", Directory.Exists(path));
        Assert.True(Path.Exists(path));
    }

    [LinuxFact]
    public async Task File_OverAPipeThatCameMeanwhile_LeavesIt()
    {
        await using var file = AtomicFile.Create(_folder["f"]);
        NamedPipe.Create(_folder["f"]);
        var exception = await Assert.ThrowsAsync<IOException>(async () => await file.CommitAsync());
        Assert.StartsWith($"{_folder["f"]}: this is a pipe", exception.Message, StringComparison.Ordinal);
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Folder_OverWhatIsNoFolder_IsRefused(bool overwrite)
    {
        NamedPipe.Create(_folder["pipe"]);
        var exception = Assert.Throws<IOException>(() => AtomicFolder.Create(_folder["pipe"], overwrite));
        Assert.StartsWith($"{_folder["pipe"]}: this is a pipe", exception.Message, StringComparison.Ordinal);
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task File_OverALink_ReplacesTheLinkAndNotWhatItLeadsTo(bool named)
    {
        // As in a Hub cache snapshot: the blob belongs to other snapshots as well.
        File.CreateSymbolicLink(_folder["f"], _folder.Write("blob", "old"));
        await using (var file = AtomicFile.Create(_folder["f"], 0, new RecordingCalls { RefuseUnnamed = named }))
        {
            Assert.Equal(_folder["f"], file.Path);
            file.Write(0, "new"u8);
            await file.CommitAsync();
        }

        Assert.Equal(("old", "new"), (File.ReadAllText(_folder["blob"]), File.ReadAllText(_folder["f"])));
        Assert.Null(new FileInfo(_folder["f"]).LinkTarget);
        Assert.Equal([_folder["blob"], _folder["f"]], Entries(""));
    }

    [LinuxFact]
    public async Task File_OverALinkToNothing_ReplacesItOnlyWhereThatIsAllowed()
    {
        File.CreateSymbolicLink(_folder["f"], "missing");
        var exception = Assert.Throws<IOException>(() => AtomicFile.Create(_folder["f"], 0, overwrite: false));
        Assert.StartsWith($"{_folder["f"]}: this already exists", exception.Message, StringComparison.Ordinal);
        Assert.Equal("missing", new FileInfo(_folder["f"]).LinkTarget);
        await AtomicFile.WriteAllBytesAsync(_folder["f"], "new"u8.ToArray());
        Assert.Equal("new", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries(""));
    }

    [LinuxFact]
    public void File_OverALinkToADevice_IsRefused()
    {
        // As /dev/stdout is one: root could replace it.
        File.CreateSymbolicLink(_folder["f"], "/dev/null");
        Assert.StartsWith($"{_folder["f"]}: this is a character device", Assert.Throws<IOException>(() => AtomicFile.Create(_folder["f"])).Message, StringComparison.Ordinal);
        Assert.Equal("/dev/null", new FileInfo(_folder["f"]).LinkTarget);
    }

    [LinuxTheory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Folder_OverALink_ReplacesWhatItLeadsToAndKeepsTheLink(bool named, bool aside)
    {
        _folder.Write("disk/models/old", "old");
        Directory.CreateSymbolicLink(_folder["models"], "disk/models");
        var calls = new RecordingCalls { RefuseUnnamed = named, RefuseExchange = aside };
        using (var folder = AtomicFolder.Create(_folder["models"] + "/", overwrite: true, calls))
        {
            Assert.Equal(_folder["disk/models"], folder.Path);
            await folder.WriteAllBytesAsync("new", new byte[1]);
            // Beside the real folder, which may be on another disk.
            Assert.Equal(2, Entries("").Length);
            folder.Commit();
        }

        Assert.Equal([_folder["disk/models/new"]], Entries("disk/models"));
        Assert.Equal([_folder["disk/models"]], Entries("disk"));
        Assert.Equal("disk/models", new DirectoryInfo(_folder["models"]).LinkTarget);
    }

    [LinuxFact]
    public async Task Folder_OverALinkToNothing_AppearsWhereItLeads()
    {
        Directory.CreateSymbolicLink(_folder["models"], "disk/models");
        using (var folder = AtomicFolder.Create(_folder["models"]))
        {
            await folder.WriteAllBytesAsync("new", new byte[1]);
            folder.Commit();
        }

        Assert.Equal([_folder["disk/models/new"]], Entries("disk/models"));
        Assert.Equal("disk/models", new DirectoryInfo(_folder["models"]).LinkTarget);
    }

    [LinuxFact]
    public void LinksInACircle_AreRefused()
    {
        File.CreateSymbolicLink(_folder["a"], "b");
        File.CreateSymbolicLink(_folder["b"], _folder["a"]);
        foreach (var create in (Action[])[() => AtomicFile.Create(_folder["a"]), () => AtomicFolder.Create(_folder["a"])])
        {
            var exception = Assert.Throws<IOException>(create);
            Assert.StartsWith($"{_folder["a"]}: this link leads to itself", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal([_folder["a"], _folder["b"]], Entries(""));
    }

    [LinuxFact]
    public void Root_IsRefused()
    {
        Directory.CreateSymbolicLink(_folder["root"], "/");
        foreach (var path in (string[])["/", _folder["root"]])
        {
            Assert.StartsWith(path + ": ", Assert.Throws<IOException>(() => AtomicFolder.Create(path, overwrite: true)).Message, StringComparison.Ordinal);
            Assert.StartsWith(path + ": ", Assert.Throws<IOException>(() => AtomicFile.Create(path)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("f/")]
    [InlineData("missing/")]
    public void File_NamedAsAFolder_IsRefused(string name)
    {
        _folder.Write("f", "old");
        var exception = Assert.Throws<IOException>(() => AtomicFile.Create(_folder[name]));
        Assert.EndsWith("this names a folder; name a file in it.", exception.Message, StringComparison.Ordinal);
        Assert.Equal([_folder["f"]], Entries(""));
    }

    [LinuxFact]
    public void NameThatIsTooLong_IsRefusedBeforeAnyWork()
    {
        // 256 bytes: of letters, and of half as many two-byte ones.
        foreach (var name in (string[])[new('n', 256), new('é', 128)])
        {
            using var folder = AtomicFolder.Create(_folder["d"]);
            foreach (var create in (Action[])
            [
                () => AtomicFile.Create(_folder[name]),
                () => AtomicFolder.Create(_folder[name]),
                () => AtomicFolder.Create(_folder[$"missing/{name}/d"]),
                () => folder.CreateFile(name),
            ])
            {
                var exception = Assert.Throws<PathTooLongException>(create);
                Assert.StartsWith(_folder.Path, exception.Message, StringComparison.Ordinal);
                Assert.EndsWith("this name is longer than the file system allows; choose a shorter one.", exception.Message, StringComparison.Ordinal);
            }
        }

        Assert.Empty(Entries(""));
    }

    [Fact]
    public async Task Address_IsNoPlaceToWriteTo()
    {
        foreach (var create in (Func<string, Task>[])
        [
            address => Task.Run(() => AtomicFile.Create(address)),
            address => Task.Run(() => AtomicFolder.Create(address)),
            address => JoinedFolder.JoinAsync(address, "one", 0, 2),
            address => HeldSave.TakeAsync(address, "one"),
            address => TensorManifest.EnsureReplaceableAsync(address),
        ])
        {
            var exception = await Assert.ThrowsAsync<ArgumentException>("path", () => create("https://ann:secret@host/out?key=secret"));
            Assert.StartsWith("'https://host/out' is an address, and what is written is local: give a path.", exception.Message, StringComparison.Ordinal);
        }

        Assert.False(Directory.Exists("https:"));
        // A path all the same, for those who mean it.
        using var folder = AtomicFolder.Create($"{_folder.Path}/https://out");
        Assert.Equal(_folder["https:/out"], folder.Path);
    }

    private string[] Entries(string name) =>
        [.. Directory.GetFileSystemEntries(_folder[name].TrimEnd('/')).Order(StringComparer.Ordinal)];
}
