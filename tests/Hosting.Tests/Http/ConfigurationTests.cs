using IlgpuLoader.TestKit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class ConfigurationTests
{
    [Fact]
    public void Command_line_wins_over_the_environment_and_that_over_the_file()
    {
        using var folder = new TemporaryFolder();
        var file = folder["config.json"];
        File.WriteAllText(
            file,
            """
            {
              // Comments are allowed.
              "IlgpuLoader": {
                "Models": { "llama": { "Path": "/file", "Device": "file", "DType": "f16", "Lanes": 3 }, "bert": { "Path": "/bert" } },
                "Http": { "Urls": "http://file", "Token": "file", "MaximumPageSize": 5 }
              }
            }
            """);
        var configuration = Read(
            new ModelServerOptions { ConfigurationFile = file, Urls = "http://flag", Device = "flag", TokenFile = "/flag", Watch = true, Paths = { "/models/my model.safetensors" } },
            "Models__llama__Path=/variable",
            "models__llama__device=variable",
            "Http__Urls=http://variable",
            "TOKEN=variable");
        Assert.Equal("/variable", configuration["IlgpuLoader:Models:llama:Path"]);
        Assert.Equal("flag", configuration["IlgpuLoader:Models:llama:Device"]);
        Assert.Equal("f16", configuration["IlgpuLoader:Models:llama:DType"]);
        Assert.Equal("3", configuration["IlgpuLoader:Models:llama:Lanes"]);
        Assert.Equal(("/bert", "flag", "True"), (configuration["IlgpuLoader:Models:bert:Path"], configuration["IlgpuLoader:Models:bert:Device"], configuration["IlgpuLoader:Models:bert:Watch"]));
        Assert.Equal(("/models/my model.safetensors", "flag"), (configuration["IlgpuLoader:Models:my-model:Path"], configuration["IlgpuLoader:Models:my-model:Device"]));
        Assert.Null(configuration["IlgpuLoader:Models:my-model:DType"]);
        Assert.Equal("http://flag", configuration["IlgpuLoader:Http:Urls"]);
        // One of the two: what is said nearer to the command line.
        Assert.Equal((null, "/flag"), (configuration["IlgpuLoader:Http:Token"], configuration["IlgpuLoader:Http:TokenFile"]));
        Assert.Equal("5", configuration["IlgpuLoader:Http:MaximumPageSize"]);
    }

    [Fact]
    public void Token_of_the_environment_wins_over_a_files_and_two_in_one_place_are_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["c.json"], """{"IlgpuLoader":{"Http":{"TokenFile":"/file"}}}""");
        var configuration = Read(new ModelServerOptions { ConfigurationFile = folder["c.json"] }, "TOKEN=variable");
        Assert.Equal(("variable", null), (configuration["IlgpuLoader:Http:Token"], configuration["IlgpuLoader:Http:TokenFile"]));
        var exception = Assert.Throws<OptionsValidationException>(() => RunningServer.Create(new StandInStore(), ["TOKEN=a", "Http__TokenFile=b"], null));
        Assert.Equal("IlgpuLoader:Http:TokenFile: there is a TokenFile and a Token (or ILGPU_LOADER_TOKEN): leave one out", Assert.Single(exception.Failures));
    }

    [Fact]
    public void Models_are_named_after_their_paths()
    {
        using var folder = new TemporaryFolder();
        _ = Directory.CreateDirectory(folder["Llama-3.1-8B"]);
        string[] paths = [
            folder["Llama-3.1-8B"], folder["Llama-3.1-8B"] + "/", "/a/llama-3.1-8b.gguf", "/b/model.safetensors", "/c/model.gguf", "/d/mödel (1).pt", "/", $"/e/{new string('x', 70)}.bin", $"/f/{new string('x', 70)}.bin"];
        Assert.Equal(
            ["Llama-3.1-8B", "Llama-3.1-8B-2", "llama-3.1-8b-3", "model-2", "model-3", "m-del--1-", "model-4", new string('x', 64), new string('x', 62) + "-2"],
            PathNames.Of(paths, ["model"]).Select(named => named.Name));
        Assert.Equal(paths, PathNames.Of(paths, []).Select(named => named.Path));
    }

    [Fact]
    public void Nothing_but_our_variables_and_our_file_is_looked_at()
    {
        var configuration = Read(new ModelServerOptions());
        Assert.Empty(configuration.GetSection(IlgpuLoaderOptions.SectionName).GetChildren());
        Assert.Null(configuration["PATH"]);
        Assert.Null(configuration["urls"]);
    }

    [Fact]
    public void Variables_of_Kubernetes_about_a_service_of_our_name_are_none_of_ours()
    {
        var configuration = Read(
            new ModelServerOptions(),
            "SERVICE_HOST=10.0.0.1",
            "SERVICE_PORT=80",
            "SERVICE_PORT_HTTP=80",
            "PORT=tcp://10.0.0.1:80",
            "PORT_80_TCP=tcp://10.0.0.1:80",
            "PORT_80_TCP_PROTO=tcp",
            "PORT_80_TCP_PORT=80",
            "PORT_80_TCP_ADDR=10.0.0.1",
            "PORT_53_UDP=udp://10.0.0.1:53",
            "GPU_SERVICE_HOST=10.0.0.2",
            "GPU_PORT_80_TCP_ADDR=10.0.0.2");
        Assert.Empty(configuration.GetSection(IlgpuLoaderOptions.SectionName).GetChildren());
    }

    [Theory]
    [InlineData("Port=1", "Port")]
    [InlineData("Models__A_PORT=1", "Models:A_PORT")]
    [InlineData("HTTP__PORT=1", "HTTP:PORT")]
    [InlineData("PORT_80=1", "PORT_80")]
    [InlineData("SERVICE_HOSTS=1", "SERVICE_HOSTS")]
    [InlineData("ONFAILURE=Retry", "OnFailure")]
    public void Variables_of_other_forms_are_ours(string variable, string key) => Assert.NotNull(Read(new ModelServerOptions(), variable)[$"IlgpuLoader:{key}"]);

    [Theory]
    [InlineData("http://0.0.0.0:0", "fifteen-letters", "IlgpuLoader:Http:Token: the token has fewer than 16 characters")]
    [InlineData("http://127.0.0.1:0;http://0.0.0.0:0", "fifteen-letters", "IlgpuLoader:Http:Token: the token has fewer than 16 characters")]
    [InlineData("http://0.0.0.0:0", "sixteen-letters!", null)]
    [InlineData("http://127.0.0.1:0", "fifteen-letters", null)]
    public async Task Short_token_is_refused_where_others_may_try_and_warned_of_elsewhere(string urls, string token, string? problem)
    {
        if (problem is not null)
        {
            var exception = Assert.Throws<OptionsValidationException>(() => RunningServer.Create(new StandInStore(), [$"TOKEN={token}"], urls));
            Assert.StartsWith(problem, Assert.Single(exception.Failures), StringComparison.Ordinal);
            Assert.DoesNotContain(token, exception.Message, StringComparison.Ordinal);
            return;
        }

        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={token}"], urls: urls);
        Assert.Equal(token.Length < 16, server.Log.Entries.Any(entry => entry.Id.Name == "ShortToken"));
    }

    [Fact]
    public void Reads_cannot_need_a_token_that_there_is_not()
    {
        var exception = Assert.Throws<OptionsValidationException>(() => RunningServer.Create(new StandInStore(), ["Http__RequireTokenForReads=true"], null));
        Assert.StartsWith("IlgpuLoader:Http:RequireTokenForReads: there is no token", Assert.Single(exception.Failures), StringComparison.Ordinal);
    }

    [Fact]
    public void Socket_has_a_path_of_107_bytes_at_most()
    {
        Assert.Empty(ServerAddresses.Problems(new HttpOptions { Urls = $"http://unix:/{new string('x', 106)}" }, hasToken: false));
        Assert.Contains("107 bytes", Assert.Single(ServerAddresses.Problems(new HttpOptions { Urls = $"http://unix:/{new string('x', 107)}" }, hasToken: false)), StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_file_is_not_found_and_one_that_is_no_JSON_says_where()
    {
        using var folder = new TemporaryFolder();
        var missing = Assert.Throws<FileNotFoundException>(() => Read(new ModelServerOptions { ConfigurationFile = folder["none.json"] }));
        Assert.Equal((folder["none.json"], $"There is no configuration file '{folder["none.json"]}'."), (missing.FileName, missing.Message));
        File.WriteAllText(folder["bad.json"], "{\n  \"IlgpuLoader\": {,\n}");
        var bad = Assert.Throws<OptionsValidationException>(() => Read(new ModelServerOptions { ConfigurationFile = folder["bad.json"] }));
        var problem = Assert.Single(bad.Failures);
        Assert.StartsWith($"{folder["bad.json"]} is no JSON that can be read: ", problem, StringComparison.Ordinal);
        Assert.Contains("LineNumber: 1", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void All_that_is_wrong_is_said_at_once_with_its_key()
    {
        var exception = Assert.Throws<OptionsValidationException>(() => RunningServer.Create(
            new StandInStore(),
            ["Http__MaximumPageSize=0", "Http__Tokn=x", "Http__MaximumEventStreams=many", "Http__KeepAliveInterval=15", "Http__TokenFile=/none/at/all", "Http__CertificateKeyFile=k"],
            "http://0.0.0.0:5070;ftp://localhost"));
        Assert.Equal(
            [
                "IlgpuLoader:Http:CertificateKeyFile: there is a key and no CertificateFile",
                "IlgpuLoader:Http:KeepAliveInterval: '15' is no time; half a minute is 00:00:30",
                "IlgpuLoader:Http:MaximumEventStreams: 'many' is no whole number",
                "IlgpuLoader:Http:MaximumPageSize: 0 is not between 1 and 100000",
                "IlgpuLoader:Http:TokenFile: the token cannot be read: Could not find a part of the path '/none/at/all'.",
                "IlgpuLoader:Http:Tokn: there is no such key; did you mean 'Token'?",
                "IlgpuLoader:Http:Urls: ftp://localhost is neither of http nor of https",
            ],
            exception.Failures.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("Http__Token=")]
    [InlineData("TOKEN=two words")]
    [InlineData("TOKEN=ümlaut")]
    public async Task Token_that_no_header_carries_is_refused_and_not_told(string variable)
    {
        var value = variable.Split('=')[1];
        if (value.Length == 0)
        {
            // As if it were not there, so that a variable takes back what a file has.
            await using var server = RunningServer.Create(new StandInStore(), [variable], null);
            return;
        }

        var exception = Assert.Throws<OptionsValidationException>(() => RunningServer.Create(new StandInStore(), [variable], null));
        Assert.DoesNotContain(value, exception.Message, StringComparison.Ordinal);
        Assert.StartsWith("IlgpuLoader:Http:Token: ", Assert.Single(exception.Failures), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://0.0.0.0:5070", "is reached by others")]
    [InlineData("http://[::]:5070", "is reached by others")]
    [InlineData("http://*:5070", "is reached by others")]
    [InlineData("http://+:5070", "is reached by others")]
    [InlineData("http://192.168.1.2:5070", "is reached by others")]
    [InlineData("http://localhost.evil.example:5070", "is reached by others")]
    [InlineData("http://127.0.0.1:1;http://10.0.0.1:2", "http://10.0.0.1:2 is reached by others")]
    [InlineData("https://127.0.0.1:5070", "there is no certificate")]
    [InlineData("http://127.0.0.1:5070/models", "has a path")]
    [InlineData("127.0.0.1:5070", "is no address")]
    [InlineData("http://", "is no address")]
    [InlineData("http://localhost:0", "has two addresses")]
    [InlineData(" ; ", "there is no address")]
    [InlineData("http://127.0.0.1:5070", null)]
    [InlineData("http://127.1.2.3:5070", null)]
    [InlineData("http://localhost:5070;http://[::1]:5070", null)]
    [InlineData("http://unix:/run/x.sock", null)]
    public void Addresses_are_held_against_the_rules_before_anything_is_opened(string urls, string? problem)
    {
        var problems = ServerAddresses.Problems(new HttpOptions { Urls = urls }, hasToken: false).ToArray();
        if (problem is null)
        {
            Assert.Empty(problems);
        }
        else
        {
            Assert.Contains(problem, Assert.Single(problems), StringComparison.Ordinal);
        }

        // The token opens every address, and mends nothing else.
        Assert.Equal(problem is null || problem.Contains("others", StringComparison.Ordinal), !ServerAddresses.Problems(new HttpOptions { Urls = urls }, hasToken: true).Any());
    }

    private static ConfigurationManager Read(ModelServerOptions options, params string[] variables)
    {
        var configuration = new ConfigurationManager();
        ServerConfiguration.AddTo(configuration, options, RunningServer.Environment(variables));
        return configuration;
    }
}
