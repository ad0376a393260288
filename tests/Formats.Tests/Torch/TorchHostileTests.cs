using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>
/// The hostile files of the golden set, opened in an empty working folder: nothing may appear there, and no process may start.
/// Alone, since the working folder and the processes are those of all tests.
/// </summary>
[Collection(Alone)]
public sealed class TorchHostileTests
{
    /// <summary>The collection's name.</summary>
    public const string Alone = "hostile pickles";

    [Fact]
    public async Task Hostile_GoldenFiles_AreRefusedForTheirOwnReasonAndNothingHappens()
    {
        var reasons = new Dictionary<string, (string? Module, string Name)>
        {
            ["hostile/eval.legacy.pt"] = ("__builtin__", "eval"),
            ["hostile/os_system.zip.pt"] = ("posix", "system"),
            ["hostile/proto0_inst.pt"] = (null, "INST"),
            ["hostile/stack_global.pkl"] = ("builtins", "exec"),
        };
        Assert.Equal(reasons.Keys.Order(StringComparer.Ordinal), GoldenArchive.Names(TorchManifest.Set).Where(name => name.StartsWith("hostile/", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        using var inputs = new TemporaryFolder();
        using var empty = new TemporaryFolder();
        var before = Children();
        var home = Directory.GetCurrentDirectory();
        Directory.SetCurrentDirectory(empty.Path);
        try
        {
            foreach (var (file, reason) in reasons)
            {
                foreach (var options in (CheckpointOptions?[])[null, TorchOpening.Admitting])
                {
                    var path = inputs.Write(Path.GetFileName(file), GoldenArchive.Read(TorchManifest.Set, file));
                    var exception = await Assert.ThrowsAsync<UnsafePickleException>(() => Checkpoint.OpenAsync(path, options));
                    Assert.Equal(reason, (exception.Module, exception.Name));
                    Assert.Equal(path, exception.File);
                }
            }

            Assert.Empty(Directory.EnumerateFileSystemEntries(empty.Path));
            Assert.Empty(Children().Except(before));
        }
        finally
        {
            Directory.SetCurrentDirectory(home);
        }
    }

    // The processes that this one has started, as Linux tells; nothing elsewhere.
    private static HashSet<string> Children() => Directory.Exists("/proc/self/task")
        ? [.. Directory.EnumerateDirectories("/proc/self/task").SelectMany(ChildrenOf)]
        : [];

    private static string[] ChildrenOf(string thread)
    {
        try
        {
            return File.ReadAllText(Path.Combine(thread, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (IOException)
        {
            // The thread has ended, or the kernel does not tell.
            return [];
        }
    }
}

/// <summary>Tests that run while no others do.</summary>
[CollectionDefinition(TorchHostileTests.Alone, DisableParallelization = true)]
public sealed class HostilePickles;
