using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HubSettingsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FromEnvironment_Nothing_IsTheHomeFolders()
    {
        var options = Read();
        Assert.Equal(HubSettings.DefaultEndpoint, options.Hub.Endpoint);
        Assert.Equal(Path.Combine(_folder.Path, ".cache", "huggingface", "hub"), options.Hub.CacheFolder);
        Assert.Null(options.Hub.Token);
        Assert.True(options.Hub.UsesLinks);
        Assert.False(options.Offline);
        Assert.Equal(TimeSpan.FromSeconds(10), options.Timeout);
        Assert.Equal(Path.Combine(_folder.Path, ".cache", "modelscope", "hub"), options.ModelScope.CacheFolder);
        Assert.False(options.ModelScope.IsPreferred);
    }

    [Theory]
    [InlineData("/c/hub", "HF_HUB_CACHE=/c/hub", "HF_HOME=/h", "XDG_CACHE_HOME=/x")]
    [InlineData("/old/hub", "HUGGINGFACE_HUB_CACHE=/old/hub", "HF_HOME=/h")]
    [InlineData("/h/hub", "HF_HOME=/h", "XDG_CACHE_HOME=/x")]
    [InlineData("/x/huggingface/hub", "XDG_CACHE_HOME=/x")]
    [InlineData("/v/hub", "HF_HOME=$WHERE", "WHERE=/v")]
    [InlineData("/v/w/hub", "HF_HOME=${WHERE}/w", "WHERE=/v")]
    [InlineData("/$NOWHERE/hub", "HF_HOME=/$NOWHERE")]
    public void FromEnvironment_CacheFolder_IsThatOfTheNearestVariable(string expected, params string[] variables) =>
        Assert.Equal(Path.GetFullPath(expected), Read(variables).Hub.CacheFolder);

    [Fact]
    public void FromEnvironment_Tilde_IsTheHomeFolder() => Assert.Equal(_folder["h/hub"], Read("HF_HOME=~/h").Hub.CacheFolder);

    [Theory]
    [InlineData("1", true)]
    [InlineData("on", true)]
    [InlineData("Yes", true)]
    [InlineData("TRUE", true)]
    [InlineData("0", false)]
    [InlineData("", false)]
    [InlineData("2", false)]
    public void FromEnvironment_Offline_IsWhatCountsAsTrue(string value, bool isOffline) => Assert.Equal(isOffline, Read("HF_HUB_OFFLINE=" + value).Offline);

    [Fact]
    public void FromEnvironment_Token_IsTheVariableElseTheFile()
    {
        _folder.Write("h/token", "from-file\n");
        _folder.Write("other", " elsewhere\r\n");
        Assert.Equal("from-file", Read("HF_HOME=" + _folder["h"]).Hub.Token);
        Assert.Equal("elsewhere", Read("HF_HOME=" + _folder["h"], "HF_TOKEN_PATH=" + _folder["other"]).Hub.Token);
        Assert.Equal("variable", Read("HF_HOME=" + _folder["h"], "HF_TOKEN=variable\n").Hub.Token);
    }

    [Theory]
    [InlineData("1", false)]
    [InlineData("true", false)]
    [InlineData("0", true)]
    public void FromEnvironment_ImplicitTokenIsDisabled_HasNone(string value, bool hasToken)
    {
        _folder.Write("h/token", "from-file");
        foreach (var variable in (string[])["HF_TOKEN=variable", "OTHER=x"])
        {
            Assert.Equal(hasToken, Read("HF_HOME=" + _folder["h"], variable, "HF_HUB_DISABLE_IMPLICIT_TOKEN=" + value).Hub.Token is not null);
        }
    }

    [Theory]
    [InlineData("HF_TOKEN")]
    [InlineData("HUGGING_FACE_HUB_TOKEN")]
    [InlineData("MODELSCOPE_API_TOKEN")]
    public void FromEnvironment_TokenWithCharactersThatNoneHas_NamesTheVariableAndNotTheToken(string variable)
    {
        foreach (var token in (string[])["hf_sécret", "hf_sec ret", "hf_sec\tret", "\u201chf_secret\u201d"])
        {
            var exception = Assert.Throws<ArgumentException>(() => Read($"{variable}={token}"));
            Assert.Contains(variable, exception.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("ret", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void FromEnvironment_TokenFileWithCharactersThatNoneHas_NamesTheFile()
    {
        _folder.Write("h/token", "<html>sign in</html>");
        Assert.Contains(_folder["h/token"], Assert.Throws<ArgumentException>(() => Read("HF_HOME=" + _folder["h"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FromEnvironment_ObjectStorage_IsThatOfTheSameEnvironment()
    {
        var storage = Read("AWS_ENDPOINT_URL=https://storage.example.com", "AWS_REGION=eu-central-1").S3!;
        Assert.Equal((new Uri("https://storage.example.com"), "eu-central-1"), (storage.Endpoint, storage.Region));
        Assert.Null(Read().S3!.Endpoint);
    }

    [Fact]
    public void ToString_Token_IsNotInIt()
    {
        var options = new RemoteOptions { Hub = new HubSettings { Token = "hf_secret" }, ModelScope = new ModelScopeSettings { Token = "hf_secret" } };
        foreach (var text in new[] { options.ToString(), options.Hub.ToString(), options.ModelScope.ToString() })
        {
            Assert.DoesNotContain("hf_secret", text, StringComparison.Ordinal);
            Assert.Contains("Token = set", text, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("HF_ENDPOINT=huggingface.co")]
    [InlineData("HF_ENDPOINT=file:///etc")]
    [InlineData("HF_ENDPOINT=https://user:password@host")]
    [InlineData("HF_HUB_DOWNLOAD_TIMEOUT=soon")]
    [InlineData("HF_HUB_DOWNLOAD_TIMEOUT=0")]
    [InlineData("HF_HUB_DOWNLOAD_TIMEOUT=1e-9")]
    [InlineData("HF_HUB_DOWNLOAD_TIMEOUT=3601")]
    public void FromEnvironment_WrongValue_NamesTheVariable(string variable) =>
        Assert.Contains(variable.Split('=')[0], Assert.Throws<ArgumentException>(() => Read(variable)).Message, StringComparison.Ordinal);

    [Fact]
    public void FromEnvironment_ModelScope_TakesADomain()
    {
        var settings = Read("MODELSCOPE_DOMAIN=www.modelscope.ai", "MODELSCOPE_CACHE=/m", "VLLM_USE_MODELSCOPE=True", "HF_HUB_DOWNLOAD_TIMEOUT=2.5");
        Assert.Equal(new Uri("https://www.modelscope.ai"), settings.ModelScope.Endpoint);
        Assert.Equal(Path.GetFullPath("/m"), settings.ModelScope.CacheFolder);
        Assert.True(settings.ModelScope.IsPreferred);
        Assert.Equal(TimeSpan.FromSeconds(2.5), settings.Timeout);
    }

    private RemoteOptions Read(params string[] variables)
    {
        var environment = variables.Prepend("HOME=" + _folder.Path).ToDictionary(variable => variable[..variable.IndexOf('=')], variable => variable[(variable.IndexOf('=') + 1)..]);
        return RemoteOptions.FromEnvironment(environment.GetValueOrDefault);
    }
}
