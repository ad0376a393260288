using System.Text.Json;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class ServiceClientTests
{
    [Fact]
    public async Task A_load_is_done_when_the_version_has_grown_and_its_seconds_are_the_services_own()
    {
        var (state, version, looks) = ("Unloaded", 3, 0);
        using var service = new StandInService(line =>
        {
            if (line == "POST /api/models/big/load")
            {
                state = "Loading";
                return (202, "{}");
            }

            // Two looks at the old state, two while it loads, then it is there.
            looks += state == "Loading" ? 1 : 0;
            (state, version) = looks == 3 ? ("Loaded", 4) : (state, version);
            var progress = state == "Loading" ? ""","progress":{"fraction":0.5}""" : ""","lastLoad":{"seconds":1.5,"bytesRead":4096}""";
            return (200, $$$"""{"schema":"ilgpu-loader/model/1","model":{"name":"big","state":"{{{state}}}","version":{{{version}}}{{{progress}}}}}""");
        });
        using var client = new ServiceClient(service.Address, "secret");

        var loaded = await client.LoadAsync("big", "load", CancellationToken.None);

        Assert.Equal(new ServedModel("Loaded", 4, null, 1.5, 4096, null), loaded);
        Assert.Equal("Bearer secret", service.Authorization);
    }

    [Fact]
    public async Task A_load_that_fails_or_is_refused_says_why()
    {
        using var service = new StandInService(line => line.StartsWith("POST", StringComparison.Ordinal) && line.EndsWith("unload", StringComparison.Ordinal)
            ? (409, """{"code":"Conflict"}""")
            : (200, """{"model":{"state":"Failed","failure":{"message":"no such file"}}}"""));
        using var client = new ServiceClient(service.Address, "secret");

        var failed = await Assert.ThrowsAsync<InvalidOperationException>(() => client.LoadAsync("big", "load", CancellationToken.None));
        Assert.Equal("big is Failed: no such file", failed.Message);
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => client.UnloadAsync("big", CancellationToken.None));
        Assert.Equal("""unload of big: status 409: {"code":"Conflict"}""", refused.Message);
    }

    [Fact]
    public async Task The_bytes_of_all_devices_are_summed_up()
    {
        using var service = new StandInService(_ => (200, """{"models":[],"devices":[{"id":"host","liveBytes":5},{"id":"cuda:0","liveBytes":7}]}"""));
        using var client = new ServiceClient(service.Address, "secret");
        Assert.Equal(12, await client.LiveBytesAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Devices_that_are_not_emptied_are_a_failure_and_those_that_are_after_some_looks_are_not()
    {
        var looks = 0;
        using var service = new StandInService(_ => (200, $$"""{"devices":[{"liveBytes":{{(++looks < 3 ? 5 : 0)}}}]}"""));
        using var client = new ServiceClient(service.Address, "secret");
        await client.UntilDevicesAreEmptyAsync(CancellationToken.None);
        Assert.Equal(3, looks);

        using var full = new StandInService(_ => (200, """{"devices":[{"liveBytes":5}]}"""));
        using var other = new ServiceClient(full.Address, "secret");
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => other.UntilDevicesAreEmptyAsync(CancellationToken.None));
        Assert.Equal("Nothing is loaded, and the devices still have 5 bytes.", exception.Message);
    }

    [Fact]
    public void A_model_that_was_never_loaded_has_neither_progress_nor_load()
    {
        using var document = JsonDocument.Parse("""{"state":"Unloaded"}""");
        Assert.Equal(new ServedModel("Unloaded", 0, null, null, 0, null), ServedModel.Read(document.RootElement));
    }

    [Theory]
    [InlineData("serving 2 models on http://127.0.0.1:41234", "http://127.0.0.1:41234/")]
    [InlineData("serving 1 model on http://[::1]:8080, http://127.0.0.1:5070", "http://127.0.0.1:5070/")]
    [InlineData("error: the port is in use", null)]
    [InlineData(null, null)]
    public void The_address_is_what_serve_says(string? line, string? address) => Assert.Equal(address, ServiceProcess.AddressOf(line)?.ToString());
}
