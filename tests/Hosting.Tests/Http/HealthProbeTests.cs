using System.Net;
using System.Net.Sockets;
using IlgpuLoader.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

/// <summary>What is asked of a service from outside, against a service of the tests' own.</summary>
public sealed class HealthProbeTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Ask_AServiceThatLivesAndIsNotReady_TellsBothApart()
    {
        await using var service = await StartAsync("http://127.0.0.1:0", context => context.Request.Path == "/healthz"
            ? context.Response.WriteAsync("""{"schema":"ilgpu-loader/health/1","status":"Healthy"}""")
            : Unavailable(context, """{"schema":"ilgpu-loader/health/1","status":"Unhealthy"}"""));
        var url = service.Urls.Single();

        Assert.Equal(new HealthAnswer(url, true, 200, "Healthy", null), await HealthProbe.AskAsync(url, ready: false, Long));
        Assert.Equal(new HealthAnswer(url, false, 503, "Unhealthy", null), await HealthProbe.AskAsync(url + "/", ready: true, Long) with { Url = url });
    }

    [LinuxFact]
    public async Task Ask_AServiceOnASocket_AsksIt()
    {
        using var folder = new TemporaryFolder();
        var url = $"http://unix:{folder["s"]}";
        await using var service = await StartAsync(url, context => context.Response.WriteAsync($$"""{"status":"{{context.Request.Host}}"}"""));

        Assert.Equal(new HealthAnswer(url, true, 200, "localhost", null), await HealthProbe.AskAsync(url, ready: false, Long));
    }

    [Theory]
    [InlineData("no JSON")]
    [InlineData("[1]")]
    [InlineData("""{"status":200}""")]
    [InlineData("")]
    public async Task Ask_WhatIsNoDocumentOfAService_IsAStatusCodeOnly(string content)
    {
        await using var service = await StartAsync("http://127.0.0.1:0", context => context.Response.WriteAsync(content));
        var url = service.Urls.Single();

        Assert.Equal(new HealthAnswer(url, true, 200, null, null), await HealthProbe.AskAsync(url, ready: false, Long));
    }

    [Fact]
    public async Task Ask_ARedirection_IsNotFollowed()
    {
        await using var service = await StartAsync("http://127.0.0.1:0", context =>
        {
            context.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        });
        var url = service.Urls.Single();

        Assert.Equal(new HealthAnswer(url, false, 302, null, null), await HealthProbe.AskAsync(url, ready: false, Long));
    }

    [Fact]
    public async Task Ask_NobodyListens_IsNoAnswerWithTheReason()
    {
        // A port that was free a moment ago, and is bound without listening: nobody else gets it meanwhile.
        using var bound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var answer = await HealthProbe.AskAsync($"http://{bound.LocalEndPoint}", ready: false, Long);

        Assert.False(answer.IsHealthy);
        Assert.Null(answer.StatusCode);
        Assert.Contains("refused", answer.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ask_AServiceThatDoesNotAnswer_EndsWithTheTimeAndWithTheToken()
    {
        await using var service = await StartAsync("http://127.0.0.1:0", context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        var url = service.Urls.Single();

        Assert.Equal(
            new HealthAnswer(url, false, null, null, "There was no answer within 0.05 s."),
            await HealthProbe.AskAsync(url, ready: false, TimeSpan.FromMilliseconds(50)));
        using var stop = new CancellationTokenSource();
        var asked = HealthProbe.AskAsync(url, ready: false, Long, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
    }

    [Fact]
    public async Task Ask_AnEndlessAnswer_IsRefused()
    {
        await using var service = await StartAsync("http://127.0.0.1:0", async context =>
        {
            var piece = new byte[1 << 16];
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(piece, context.RequestAborted);
            }
        });

        var answer = await HealthProbe.AskAsync(service.Urls.Single(), ready: false, Long);

        Assert.False(answer.IsHealthy);
        Assert.Contains("1048576", answer.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1:5070")]
    [InlineData("ftp://127.0.0.1")]
    [InlineData("http://127.0.0.1:5070/api")]
    [InlineData("http://127.0.0.1:5070/?x")]
    [InlineData("http://user@127.0.0.1:5070")]
    [InlineData("http://unix:")]
    [InlineData("http://unix:/")]
    public async Task Ask_NoAddressOfAService_Throws(string url) =>
        Assert.StartsWith($"'{url}' is no address", (await Assert.ThrowsAsync<ArgumentException>(() => HealthProbe.AskAsync(url, ready: false, Long))).Message, StringComparison.Ordinal);

    private static async Task<WebApplication> StartAsync(string url, RequestDelegate answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls(url);
        var service = builder.Build();
        service.Run(answer);
        await service.StartAsync();
        return service;
    }

    private static Task Unavailable(HttpContext context, string content)
    {
        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return context.Response.WriteAsync(content);
    }
}
