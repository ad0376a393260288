using Amazon.Runtime;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class S3SettingsTests
{
    [Fact]
    public void FromEnvironment_ReadsEndpointAndRegionInTheOrderOfTheSdks()
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["AWS_ENDPOINT_URL_S3"] = "https://s3.example.com:9000",
            ["AWS_ENDPOINT_URL"] = "https://all.example.com",
            ["AWS_DEFAULT_REGION"] = "eu-west-1",
            ["AWS_REGION"] = "",
            ["AWS_ACCESS_KEY_ID"] = "AKIAEXAMPLE",
            ["AWS_SECRET_ACCESS_KEY"] = "verysecret",
        };
        var settings = S3Settings.FromEnvironment(variables.GetValueOrDefault);
        Assert.Equal(("https://s3.example.com:9000/", "eu-west-1", true, false), (settings.Endpoint!.AbsoluteUri, settings.Region, settings.UsesPathStyle, settings.IsAnonymous));
        variables.Remove("AWS_ENDPOINT_URL_S3");
        variables["AWS_REGION"] = "eu-north-1";
        settings = S3Settings.FromEnvironment(variables.GetValueOrDefault);
        Assert.Equal(("https://all.example.com/", "eu-north-1"), (settings.Endpoint!.AbsoluteUri, settings.Region));
        var none = S3Settings.FromEnvironment(_ => null);
        Assert.Equal((S3Settings.Default, false), (none, none.UsesPathStyle));
    }

    [Theory]
    [InlineData("storage.example.com")]
    [InlineData("ftp://storage.example.com")]
    [InlineData("https://user:verysecret@storage.example.com")]
    [InlineData("https://storage.example.com?key=verysecret")]
    public void FromEnvironment_OfNoEndpoint_NamesTheVariableAndNotWhatItHolds(string endpoint)
    {
        var exception = Assert.Throws<ArgumentException>(() => S3Settings.FromEnvironment(name => name == "AWS_ENDPOINT_URL" ? endpoint : null));
        Assert.Contains("AWS_ENDPOINT_URL", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("verysecret", exception.ToString(), StringComparison.Ordinal);
        if (Uri.TryCreate(endpoint, UriKind.Absolute, out var address))
        {
            Assert.Throws<ArgumentException>(() => new S3Settings { Endpoint = address });
        }
    }

    [Fact]
    public void ToString_HasNoCredentials()
    {
        var text = new S3Settings { Endpoint = new Uri("http://host"), Credentials = new BasicAWSCredentials("AKIAEXAMPLE", "verysecret") }.ToString();
        Assert.Contains("http://host", text, StringComparison.Ordinal);
        Assert.DoesNotContain("AKIAEXAMPLE", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Credentials", text, StringComparison.Ordinal);
    }

    [Fact]
    public void MaximumKeys_BelowOne_Throws() => Assert.Throws<ArgumentOutOfRangeException>(() => new S3Settings { MaximumKeys = 0 });
}
