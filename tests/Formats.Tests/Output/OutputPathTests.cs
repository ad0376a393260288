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
    public async Task File_OverALink_WritesWhatItLeadsToAndKeepsTheLink(bool named)
    {
        // Two links, one of them relative and in another folder.
        _folder.Write("disk/models/real", "old");
        File.CreateSymbolicLink(_folder["disk/inner"], "models/real");
        File.CreateSymbolicLink(_folder["f"], _folder["disk/inner"]);
        await using (var file = AtomicFile.Create(_folder["f"], 0, new RecordingCalls { RefuseUnnamed = named }))
        {
            Assert.Equal(_folder["disk/models/real"], file.Path);
            file.Write(0, "new"u8);
            await file.CommitAsync();
        }

        Assert.Equal("new", File.ReadAllText(_folder["disk/models/real"]));
        Assert.Equal(_folder["disk/inner"], new FileInfo(_folder["f"]).LinkTarget);
        Assert.Equal([_folder["disk/inner"], _folder["disk/models"]], Entries("disk"));
        Assert.Equal([_folder["disk/models/real"]], Entries("disk/models"));
    }

    [LinuxFact]
    public async Task File_OverALinkToNothing_AppearsWhereItLeads()
    {
        Directory.CreateDirectory(_folder["there"]);
        File.CreateSymbolicLink(_folder["f"], "there/g");
        File.CreateSymbolicLink(_folder["lost"], "missing/g");
        await AtomicFile.WriteAllBytesAsync(_folder["f"], "new"u8.ToArray(), overwrite: false);
        Assert.Equal("new", File.ReadAllText(_folder["there/g"]));
        Assert.Equal("there/g", new FileInfo(_folder["f"]).LinkTarget);
        var exception = Assert.Throws<DirectoryNotFoundException>(() => AtomicFile.Create(_folder["lost"]));
        Assert.StartsWith(_folder["missing/g"] + ": ", exception.Message, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task File_OverALinkThatGoesUpFromBehindALink_IsWhereTheSystemSays()
    {
        // As text, "here/../g" would be beside the link; the system goes up from what the link leads to.
        Directory.CreateDirectory(_folder["deep/er"]);
        Directory.CreateSymbolicLink(_folder["here"], "deep/er");
        File.CreateSymbolicLink(_folder["deep/er/f"], "../g");
        File.CreateSymbolicLink(_folder["up"], "here/../h");
        await AtomicFile.WriteAllBytesAsync(_folder["here/f"], new byte[1]);
        await AtomicFile.WriteAllBytesAsync(_folder["up"], new byte[1]);
        Assert.Equal([_folder["deep/er"], _folder["deep/g"], _folder["deep/h"]], Entries("deep"));
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
            Assert.StartsWith("/: ", Assert.Throws<IOException>(() => AtomicFile.Create(path)).Message, StringComparison.Ordinal);
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

    private string[] Entries(string name) =>
        [.. Directory.GetFileSystemEntries(_folder[name].TrimEnd('/')).Order(StringComparer.Ordinal)];
}
