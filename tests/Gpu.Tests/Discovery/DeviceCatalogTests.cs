using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class DeviceCatalogTests
{
    [Fact]
    public void The_host_comes_first_and_meta_last()
    {
        var devices = DeviceCatalog.List();
        Assert.Equal(("host", DeviceKind.Host), (devices[0].Id, devices[0].Kind));
        Assert.Equal(("meta", DeviceKind.Meta), (devices[^1].Id, devices[^1].Kind));
        Assert.Equal(devices.Count, devices.Select(device => device.Id).Distinct().Count());
        Assert.Null(devices[0].Unusable);
        Assert.InRange(devices[0].FreeMemory ?? 0, 1, devices[0].TotalMemory);
        Assert.Null(devices[^1].FreeMemory);
    }

    [Fact]
    public void Without_ilgpu_host_and_meta_are_all_there_is()
    {
        if (DeviceCatalog.IlgpuVersion is { } version)
        {
            Assert.True(Version.TryParse(version.Split('+', '-')[0], out _), version);
        }
        else
        {
            Assert.Equal(["host", "meta"], DeviceCatalog.List().Select(device => device.Id));
        }
    }

    [Fact]
    public void Devices_open_by_their_ids()
    {
        Assert.Same(HostDevice.Shared, DeviceCatalog.Open("host"));
        Assert.Same(MetaDevice.Shared, DeviceCatalog.Open("meta"));
    }

    [Fact]
    public void The_best_device_is_the_first_cuda_gpu_or_the_host()
    {
        var best = DeviceCatalog.List().FirstOrDefault(device => device.Kind == DeviceKind.Cuda && device.Unusable is null)?.Id ?? "host";
        Assert.Same(DeviceCatalog.Open(best), DeviceCatalog.Open(DeviceCatalog.Auto));
    }

    [Theory]
    [InlineData("HOST")]
    [InlineData("cuda:99")]
    public void An_unknown_device_is_refused_with_those_there_are(string id)
    {
        var error = Assert.Throws<DeviceUnavailableException>(() => DeviceCatalog.Open(id));
        Assert.Contains($"'{id}'", error.Message, StringComparison.Ordinal);
        Assert.Contains("host", error.Message, StringComparison.Ordinal);
        Assert.Contains("meta and auto", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_device_comes_with_what_the_drivers_reported()
    {
        Assert.Equal(
            "There is no device 'cuda:0'; there are host, meta and auto. CUDA: x. OpenCL: y.",
            DeviceCatalog.DescribeMissing("cuda:0", ["host", "meta"], ["CUDA: x.", "OpenCL: y."], hasIlgpu: true));
    }

    [Fact]
    public void A_missing_device_says_that_ILGPU_is_missing()
    {
        var message = DeviceCatalog.DescribeMissing("cuda:0", ["host"], [], hasIlgpu: false);
        Assert.EndsWith("ILGPU, which drives GPUs, was not compiled in: no package source served it when this was built.", message, StringComparison.Ordinal);
        var error = Assert.Throws<DeviceUnavailableException>(() => DeviceCatalog.Open("cuda:99"));
        Assert.Equal(DeviceCatalog.IlgpuVersion is null, error.Message.Contains("was not compiled in", StringComparison.Ordinal));
    }

    [Fact]
    public void Only_auto_passes_devices_over()
    {
        _ = DeviceCatalog.Open("host", out var problems);
        Assert.Empty(problems);
        _ = DeviceCatalog.List(out var reported);
        var device = DeviceCatalog.Open(DeviceCatalog.Auto, out var passedOver);
        // Whatever is wrong with CUDA here: none of it is hidden where the host was chosen.
        Assert.All(reported.Where(problem => problem.StartsWith("CUDA", StringComparison.Ordinal)), problem => Assert.Contains(problem, passedOver));
        Assert.NotEqual(DeviceKind.Meta, device.Kind);
    }

    [Theory]
    [InlineData("host,host", "'host,host' has host twice")]
    [InlineData("cuda:7, host ,cuda:7", "has cuda:7 twice")]
    [InlineData("host,meta", "meta holds nothing")]
    [InlineData("", "'' has a name that is empty")]
    [InlineData(",", "',' has a name that is empty")]
    [InlineData("host,", "'host,' has a name that is empty")]
    [InlineData("host, ,cuda:7,cuda:7", "has a name that is empty")]
    public void Devices_that_make_no_group_are_refused_before_one_is_opened(string ids, string message)
    {
        var error = Assert.Throws<ArgumentException>(() => DeviceCatalog.Open(ids));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("host,cuda:99", "cuda:99")]
    [InlineData("cuda:98,cuda:99", "cuda:98")]
    public void A_group_with_an_unknown_device_is_refused_by_its_name(string ids, string unknown)
    {
        var error = Assert.Throws<DeviceUnavailableException>(() => DeviceCatalog.Open(ids));
        Assert.Equal(unknown, error.Device);
        Assert.Contains($"'{unknown}'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_device_is_refused() => Assert.Throws<ArgumentNullException>(() => DeviceCatalog.Open(null!));
}
