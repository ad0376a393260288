using IlgpuLoader.Formats;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace IlgpuLoader.Hosting;

/// <summary>Why a request gets no answer of its own (RFC 9457).</summary>
/// <param name="Status">The status code.</param>
/// <param name="Code">What is wrong, for programs.</param>
/// <param name="Detail">What is wrong, and what to do.</param>
internal sealed record Problem(int Status, string Code, string Detail)
{
    /// <summary>When it is worth trying again, in seconds; null where it is not a matter of time.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>The methods that there are instead; null where the method is not what is wrong.</summary>
    public string? Allow { get; init; }

    /// <summary>Whether the client is asked for a token.</summary>
    public bool AsksForToken { get; init; }

    public static Problem ModelNotConfigured(string name, IEnumerable<string> names) =>
        new(StatusCodes.Status404NotFound, "ModelNotConfigured", new ModelNotConfiguredException(name, names).Message);

    public static Problem NotFound() =>
        new(StatusCodes.Status404NotFound, "NotFound", "There is nothing of that path; the API begins at /api/models.");

    public static Problem InvalidQuery(string parameter, string value, string allowed) =>
        new(StatusCodes.Status400BadRequest, "InvalidQuery", $"{parameter} is {Quoted.Name(value)}, and has to be {allowed}.");

    public static Problem HostNotAllowed(string host) => new(
        StatusCodes.Status400BadRequest,
        "HostNotAllowed",
        $"The host {Quoted.Name(host)} is not answered to: a loopback address is localhost or its number (127.0.0.1, [::1]), others are in {HttpOptions.SectionName}:{nameof(HttpOptions.AllowedHosts)}.");

    public static Problem TokenNeeded() =>
        new(StatusCodes.Status401Unauthorized, "TokenNeeded", "This needs the header 'Authorization: Bearer TOKEN' with the configured token.") { AsksForToken = true };

    public static Problem TokenNotConfigured() => new(
        StatusCodes.Status401Unauthorized,
        "TokenNeeded",
        $"Others than this machine may reach this address, which needs a token, and none is configured ({HttpOptions.SectionName}:{nameof(HttpOptions.TokenFile)}).")
    { AsksForToken = true };

    public static Problem ControlOff() => new(
        StatusCodes.Status403Forbidden,
        "ControlOff",
        $"Load, unload and reload are off until a token is configured ({HttpOptions.SectionName}:{nameof(HttpOptions.TokenFile)}, or the variable {ServerConfiguration.TokenVariable}).");

    public static Problem InvalidRequest(int status, string detail) => new(status, status == StatusCodes.Status413PayloadTooLarge ? "TooMuch" : "InvalidRequest", detail);

    public static Problem Conflict(string detail) => new(StatusCodes.Status409Conflict, "Conflict", detail);

    public static Problem MethodNotAllowed(string method, string allow) =>
        new(StatusCodes.Status405MethodNotAllowed, "MethodNotAllowed", $"The method {Quoted.Name(method)} is not for this path, but {allow}.") { Allow = allow };

    public static Problem BodyTooLong(int maximum) =>
        new(StatusCodes.Status413PayloadTooLarge, "TooMuch", $"The body has more than {maximum} bytes, and none is needed.");

    public static Problem TooManyRequests() => new(
        StatusCodes.Status429TooManyRequests, "TooMuch", $"More requests wait than the host keeps ({nameof(HttpOptions.MaximumQueuedRequests)}); try again.")
    { RetryAfterSeconds = 1 };

    public static Problem TooManyStreams(int maximum) => new(
        StatusCodes.Status503ServiceUnavailable, "TooMuch", $"There are {maximum} event streams, which is all there may be ({nameof(HttpOptions.MaximumEventStreams)}); try again, or ask /api/models.")
    { RetryAfterSeconds = 5 };

    public static Problem Stopping() =>
        new(StatusCodes.Status503ServiceUnavailable, "Stopping", "The host stops.") { RetryAfterSeconds = 5 };

    public static Problem Unexpected() =>
        new(StatusCodes.Status500InternalServerError, "Unexpected", "The request failed in a way that nobody foresaw; the host's log has the reason.");

    /// <summary>Writes it as the response.</summary>
    public Task WriteAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var headers = context.Response.Headers;
        context.Response.StatusCode = Status;
        if (RetryAfterSeconds is { } seconds)
        {
            headers.RetryAfter = seconds.ToString();
        }

        if (Allow is not null)
        {
            headers.Allow = Allow;
        }

        if (AsksForToken)
        {
            headers.WWWAuthenticate = "Bearer";
        }

        var document = new ProblemDocument(ReasonPhrases.GetReasonPhrase(Status), Status, Detail, Code);
        return Json.WriteAsync(context, document, ApiJsonContext.Default.ProblemDocument, cancellationToken, "application/problem+json");
    }
}
