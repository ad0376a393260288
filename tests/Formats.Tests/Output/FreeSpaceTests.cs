using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class FreeSpaceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public void Of_AFolderAFileAndWhatIsNotThereYet_IsThatOfTheirDisk()
    {
        var most = new DriveInfo(_folder.Path).TotalSize;
        _folder.Write("f", "a file");
        foreach (var path in (string[])[_folder.Path, _folder["f"], _folder["p/q/d"]])
        {
            Assert.InRange(FreeSpace.Of(path)!.Value, 1, most);
        }
    }

    [LinuxFact]
    public void Of_AFileSystemWithoutSizes_IsUnknown() =>
        // As ramfs: .NET says that 0 bytes are free, which is no reason to refuse anything.
        Assert.Null(FreeSpace.Of("/proc"));

    [Fact]
    public void Of_NoPath_IsRefused() => Assert.Throws<ArgumentException>("path", () => FreeSpace.Of(""));

    [LinuxFact]
    public void SpareDescriptors_AreBoundByWhatIsOpen()
    {
        var limit = File.ReadLines("/proc/self/limits").Single(line => line.StartsWith("Max open files", StringComparison.Ordinal));
        var soft = limit.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3];
        var half = soft == "unlimited" ? int.MaxValue : long.Parse(soft, System.Globalization.CultureInfo.InvariantCulture) / 2;
        // Other tests open and close files meanwhile.
        Assert.InRange(DescriptorLimit.CountSpare(), Math.Clamp(half - 2000, 0, 512), Math.Min(half, 512));
    }
}
