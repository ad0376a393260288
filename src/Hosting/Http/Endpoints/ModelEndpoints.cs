using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary>Models: all, one, and what is done with one.</summary>
/// <param name="store">The models. A request names one of them, and never a path.</param>
/// <param name="documents">Their documents.</param>
/// <param name="control">Begins what is asked for.</param>
/// <param name="options">Limits.</param>
internal sealed class ModelEndpoints(IModelStore store, StatusDocuments documents, ModelControl control, HttpOptions options)
{
    /// <summary><c>GET /api/models</c>.</summary>
    /// <param name="readsNeedToken">Whether reads need the token where it is mapped.</param>
    public RequestHandler List(Func<bool> readsNeedToken) => async (context, cancellationToken) =>
    {
        await Json.WriteAsync(context, documents.OfAll(readsNeedToken()), cancellationToken).ConfigureAwait(false);
        return null;
    };

    /// <summary><c>GET /api/models/{name}</c>.</summary>
    public async ValueTask<Problem?> ShowAsync(HttpContext context, CancellationToken cancellationToken)
    {
        if (!TryFind(context, store, out var model, out var problem))
        {
            return problem;
        }

        await Json.WriteAsync(context, documents.OfOne(model.Status), cancellationToken).ConfigureAwait(false);
        return null;
    }

    /// <summary><c>POST /api/models/{name}/load|reload|unload</c>.</summary>
    public RequestHandler Begin(ModelAction action) => async (context, cancellationToken) =>
    {
        if (!TryFind(context, store, out var model, out var problem))
        {
            return problem;
        }

        if (!await IsBodyWithinAsync(context.Request.Body, options.MaximumBodyBytes, cancellationToken).ConfigureAwait(false))
        {
            return Problem.BodyTooLong(options.MaximumBodyBytes);
        }

        var status = model.Status;
        if (ModelControl.Conflict(action, status) is { } conflict)
        {
            return Problem.Conflict(conflict);
        }

        control.Begin(model, action, context.Connection.RemoteIpAddress);
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        context.Response.Headers.Location = $"{context.Request.PathBase.ToUriComponent()}{Prefix(context.Request.Path)}/api/models/{Uri.EscapeDataString(status.Name)}";
        await Json.WriteAsync(context, new AcceptedDocument(status.Name, ModelControl.NameOf(action)), ApiJsonContext.Default.AcceptedDocument, cancellationToken).ConfigureAwait(false);
        return null;
    };

    /// <summary>The model that the path names.</summary>
    public static bool TryFind(HttpContext context, IModelStore store, [NotNullWhen(true)] out IHostedModel? model, [NotNullWhen(false)] out Problem? problem)
    {
        var name = context.Request.RouteValues["name"] as string ?? "";
        problem = store.TryGetModel(name, out model) ? null : Problem.ModelNotConfigured(name, store.Models.Select(other => other.Name));
        return model is not null;
    }

    // What an application has put before our own paths.
    private static string Prefix(PathString path)
    {
        var text = path.ToUriComponent();
        return text[..text.IndexOf("/api/models/", StringComparison.OrdinalIgnoreCase)];
    }

    // Nothing in it is looked at; a length that was announced was held against the limit before.
    private static async ValueTask<bool> IsBodyWithinAsync(Stream body, int maximum, CancellationToken cancellationToken)
    {
        var buffer = new byte[maximum + 1];
        try
        {
            return await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false) <= maximum;
        }
        catch (BadHttpRequestException exception) when (exception.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            return false;
        }
    }
}
