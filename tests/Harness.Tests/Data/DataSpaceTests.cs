using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class DataSpaceTests
{
    [Fact]
    public void Room_is_asked_for_before_anything_is_written_and_only_for_what_is_missing()
    {
        using var folder = new TemporaryFolder();
        var options = new HarnessOptions { DataFolder = folder.Path, Mebibytes = 1000 };
        IScenario[] scenarios = [new ColdScenario(), new ZeroCopyScenario()];
        var exception = Assert.Throws<UnusableFileException>(() => DataSpace.Check(options, scenarios, 2_000_000_000));
        Assert.StartsWith($"The data takes 2.10 GB more in {folder.Path}, whose disk has 2.00 GB free", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
        File.WriteAllText(folder["floats-1000m.npy"], "");
        Assert.Equal(
            $"data in {folder.Path}: 2.10 GB, of which 1.05 GB are still to be written; 2.00 GB are free", DataSpace.Check(options, scenarios, 2_000_000_000));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_said()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], "");
        Assert.Throws<UnusableFileException>(() => DataSpace.Check(new HarnessOptions { DataFolder = folder["file/below"] }, []));
    }
}
