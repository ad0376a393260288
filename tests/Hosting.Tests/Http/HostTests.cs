using System.Net;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class HostTests
{
    [Theory]
    [InlineData("localhost", true)]
    [InlineData("LocalHost:8080", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.0.0.1:1", true)]
    [InlineData("[::1]:5070", true)]
    [InlineData("evil.example", false)]
    [InlineData("localhost.evil.example", false)]
    [InlineData("127.0.0.1.evil.example", false)]
    [InlineData("192.168.0.1", false)]
    public async Task Loopback_answers_to_its_own_names_alone(string host, bool answers)
    {
        // Names of the option are of no use there.
        await using var server = await RunningServer.StartAsync(variables: ["Http__AllowedHosts__0=evil.example"]);
        foreach (var path in (string[])["/api/models", "/", "/healthz", "/nothing"])
        {
            if (!answers)
            {
                Assert.Contains(host, await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path, host: host), 400, "HostNotAllowed"), StringComparison.Ordinal);
                continue;
            }

            using var response = await server.SendAsync(HttpMethod.Get, path, host: host);
            Assert.Equal(path == "/nothing" ? HttpStatusCode.NotFound : HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Theory]
    [InlineData("models.example.org", true)]
    [InlineData("Models.Example.Org:8080", true)]
    [InlineData("a.example.com", true)]
    [InlineData("a.b.example.com", true)]
    [InlineData("example.com", false)]
    [InlineData("aexample.com", false)]
    [InlineData("localhost", false)]
    [InlineData("10.1.2.3:5070", true)]
    [InlineData("[fd00::1]:5070", true)]
    [InlineData("10.1.2.3.example.net", false)]
    public async Task Elsewhere_it_answers_to_the_names_of_the_option(string host, bool answers)
    {
        await using var server = await RunningServer.StartAsync(
            variables: ["TOKEN=t", "Http__AllowedHosts__0=models.example.org", "Http__AllowedHosts__1=*.example.com"], urls: "http://0.0.0.0:0");
        using var response = await server.SendAsync(HttpMethod.Get, "/healthz", host: host);
        Assert.Equal(answers ? HttpStatusCode.OK : HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Elsewhere_it_answers_to_any_name_by_default()
    {
        await using var server = await RunningServer.StartAsync(variables: ["TOKEN=t"], urls: "http://0.0.0.0:0");
        using var response = await server.SendAsync(HttpMethod.Get, "/healthz", host: "anything.example");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
