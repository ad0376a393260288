using System.Text.Json;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class DevicesCommandTests
{
    [Fact]
    public async Task Document_lists_the_host_with_its_memory_first_and_says_whether_ILGPU_is_there()
    {
        var run = await ToolRun.OfAsync("devices", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/devices/1");
        Assert.Contains(document.GetProperty("ilgpu").ValueKind, new[] { JsonValueKind.Null, JsonValueKind.String });
        var devices = document.GetProperty("devices").EnumerateArray().ToArray();
        var host = devices[0];
        Assert.Equal(("host", "host", true), (Text(host, "id"), Text(host, "kind"), host.GetProperty("usable").GetBoolean()));
        var total = host.GetProperty("totalMemory").GetInt64();
        Assert.True(total > 0);
        Assert.InRange(host.GetProperty("freeMemory").GetInt64(), 1, total);
        Assert.False(host.TryGetProperty("reason", out _));
        Assert.Equal("meta", Text(devices[^1], "id"));
        Assert.All(document.GetProperty("problems").EnumerateArray(), problem => Assert.NotEqual("", problem.GetString()));
        // Whatever a driver has listed names the driver.
        Assert.All(devices[1..^1], device => Assert.NotEqual("", Text(device, "driver")));
        // Whatever is listed either can be used or says why not.
        Assert.All(devices, device => Assert.NotEqual(device.GetProperty("usable").GetBoolean(), device.TryGetProperty("reason", out _)));
    }

    [Fact]
    public async Task Text_has_a_line_a_device_and_one_about_ILGPU()
    {
        var run = await ToolRun.OfAsync("devices");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Matches(@"^device +name +memory +free +driver$", lines[0]);
        Assert.StartsWith("host ", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("meta ", lines[^2], StringComparison.Ordinal);
        Assert.Matches("^ILGPU .*is (not )?compiled in", lines[^1]);
    }

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
}
