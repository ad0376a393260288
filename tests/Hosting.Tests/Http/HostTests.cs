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
    [InlineData("127.1.2.3:5070", true)]
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
    [InlineData("127.0.0.1", false)]
    [InlineData("10.0.0.7", false)]
    [InlineData("[fd00::7]:8080", true)]
    [InlineData("[fd00::8]", true)]
    [InlineData("[fd00::9]", false)]
    public async Task Elsewhere_it_answers_to_the_names_of_the_option(string host, bool answers)
    {
        await using var server = await RunningServer.StartAsync(
            variables: [
                $"TOKEN={RunningServer.Token}", "Http__AllowedHosts__0=models.example.org", "Http__AllowedHosts__1=*.example.com", "Http__AllowedHosts__2=fd00::7", "Http__AllowedHosts__3=[fd00::8]"],
            urls: "http://0.0.0.0:0");
        server.Store["llama"].Become(ModelState.Loaded);
        using var response = await server.SendAsync(HttpMethod.Get, "/", host: host);
        Assert.Equal(answers ? HttpStatusCode.OK : HttpStatusCode.BadRequest, response.StatusCode);
        // Probes ask by address.
        foreach (var path in (string[])["/healthz", "/readyz"])
        {
            using var health = await server.SendAsync(HttpMethod.Get, path, host: host);
            Assert.Equal(HttpStatusCode.OK, health.StatusCode);
        }
    }

    [Theory]
    [InlineData("Http__AllowedHosts=")]
    [InlineData("Http__AllowedHosts__0=*")]
    public async Task Elsewhere_it_answers_to_any_name_by_default_and_where_all_are_allowed(string allowed)
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}", allowed], urls: "http://0.0.0.0:0");
        using var response = await server.SendAsync(HttpMethod.Get, "/", host: "anything.example");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("*", true)]
    [InlineData("models", true)]
    [InlineData("my_service.example.org", true)]
    [InlineData("*.example.org", true)]
    [InlineData("10.0.0.7", true)]
    [InlineData("::1", true)]
    [InlineData("[::1]", true)]
    [InlineData("models.example.org:5070", false)]
    [InlineData("[::1]:5070", false)]
    [InlineData("https://models.example.org", false)]
    [InlineData("models.*.org", false)]
    [InlineData("*.*", false)]
    [InlineData("*.10.0.0.7", false)]
    [InlineData("mödels.example", false)]
    [InlineData("two names", false)]
    [InlineData(" ", false)]
    public void Name_that_no_host_has_is_refused(string name, bool isName)
    {
        var result = new HttpOptionsReader(null).Validate(null, new HttpOptions { AllowedHosts = { "localhost", name } });
        Assert.Equal(isName, result.Succeeded);
        if (!isName)
        {
            Assert.StartsWith($"IlgpuLoader:Http:AllowedHosts:1: '{name}' is no host such as ", Assert.Single(result.Failures!), StringComparison.Ordinal);
        }
    }
}
