using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class HostMemoryInfoTests : IDisposable
{
    private const long Mebibyte = 1 << 20;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Without_proc_and_cgroup_the_collector_counts()
    {
        var collector = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        Assert.Equal((collector, collector), Read());
    }

    [Fact]
    public void What_is_available_counts_and_not_what_is_free()
    {
        WriteMeminfo(total: 64, available: 40);
        Assert.Equal((64 * Mebibyte, 40 * Mebibyte), Read());
    }

    [Theory]
    [InlineData("")]
    [InlineData("MemTotal: 100 kB\n")]
    [InlineData("MemAvailable: 100 kB\n")]
    [InlineData("MemTotal: many kB\nMemAvailable: 100 kB\n")]
    public void A_meminfo_that_does_not_say_is_left_out(string text)
    {
        _folder.Write("proc/meminfo", text);
        var collector = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        Assert.Equal((collector, collector), Read());
    }

    [Fact]
    public void Version_2_limits_by_the_own_group_less_what_is_used_plus_the_page_cache()
    {
        WriteMeminfo(64, 60);
        _folder.Write("proc/self/cgroup", "0::/user.slice/app\n");
        WriteVersion2("user.slice/app", limit: 32, used: 20, inactiveFile: 5);
        Assert.Equal((32 * Mebibyte, 17 * Mebibyte), Read());
    }

    [Fact]
    public void The_group_above_limits_too()
    {
        WriteMeminfo(64, 60);
        _folder.Write("proc/self/cgroup", "0::/pod/app\n");
        WriteVersion2("pod/app", limit: 32, used: 2, inactiveFile: 0);
        WriteVersion2("pod", limit: 40, used: 38, inactiveFile: 1);
        WriteVersion2("", limit: 63, used: 1, inactiveFile: 0);
        // The least limit is the group's own, the least headroom its parent's.
        Assert.Equal((32 * Mebibyte, 3 * Mebibyte), Read());
    }

    [Fact]
    public void A_group_without_a_limit_leaves_the_system()
    {
        WriteMeminfo(64, 60);
        _folder.Write("proc/self/cgroup", "0::/\n");
        _folder.Write("cgroup/memory.max", "max\n");
        _folder.Write("cgroup/memory.current", "12345\n");
        Assert.Equal((64 * Mebibyte, 60 * Mebibyte), Read());
    }

    [Fact]
    public void Version_1_limits_by_its_memory_controller()
    {
        WriteMeminfo(64, 60);
        _folder.Write("proc/self/cgroup", "12:cpu,cpuacct:/other\n9:memory:/docker/abc\n0::/docker/abc\n");
        WriteVersion1("docker/abc", limit: 24, used: 20);
        _folder.Write("cgroup/memory/docker/abc/memory.stat", $"cache 1\ninactive_file_other 9\ninactive_file {Mebibyte}\n");
        _folder.Write("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        _folder.Write("cgroup/memory/memory.usage_in_bytes", $"{50 * Mebibyte}\n");
        // Another controller's group is not memory's.
        WriteVersion1("other", limit: 1, used: 1);
        Assert.Equal((24 * Mebibyte, 5 * Mebibyte), Read());
    }

    [Fact]
    public void A_container_that_sees_its_group_as_the_root_is_limited()
    {
        WriteMeminfo(64, 60);
        _folder.Write("proc/self/cgroup", "9:memory:/docker/abc\n");
        WriteVersion1("", limit: 16, used: 1);
        Assert.Equal((16 * Mebibyte, 15 * Mebibyte), Read());
    }

    [Fact]
    public void A_group_beyond_its_limit_has_nothing_free()
    {
        WriteMeminfo(64, 60);
        _folder.Write("proc/self/cgroup", "0::/app\n");
        WriteVersion2("app", limit: 10, used: 11, inactiveFile: 0);
        Assert.Equal((10 * Mebibyte, 0), Read());
    }

    [Theory]
    [InlineData("no colons here")]
    [InlineData("0::/../../..")]
    [InlineData(":")]
    [InlineData("")]
    public void An_odd_membership_is_survived(string text)
    {
        WriteMeminfo(64, 60);
        _folder.Write("proc/self/cgroup", text + "\n");
        Assert.Equal((64 * Mebibyte, 60 * Mebibyte), Read());
    }

    private (long Total, long Free) Read()
    {
        var info = HostMemoryInfo.Read(_folder["proc"], _folder["cgroup"]);
        return (info.Total, info.Free);
    }

    private void WriteMeminfo(long total, long available) => _folder.Write(
        "proc/meminfo",
        $"MemTotal:       {total * 1024} kB\nMemFree:        1 kB\nMemAvailable:   {available * 1024} kB\nBuffers: 7 kB\n");

    private void WriteVersion2(string group, long limit, long used, long inactiveFile)
    {
        _folder.Write(Path.Combine("cgroup", group, "memory.max"), $"{limit * Mebibyte}\n");
        _folder.Write(Path.Combine("cgroup", group, "memory.current"), $"{used * Mebibyte}\n");
        _folder.Write(Path.Combine("cgroup", group, "memory.stat"), $"anon 5\ninactive_file {inactiveFile * Mebibyte}\n");
    }

    private void WriteVersion1(string group, long limit, long used)
    {
        _folder.Write(Path.Combine("cgroup", "memory", group, "memory.limit_in_bytes"), $"{limit * Mebibyte}\n");
        _folder.Write(Path.Combine("cgroup", "memory", group, "memory.usage_in_bytes"), $"{used * Mebibyte}\n");
    }
}
