using System.Globalization;
using System.Net;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Asks ModelScope for files, as its own library does (modelscope/hub/api.py and file_download.py). Safe for any thread.</summary>
/// <param name="http">Sends the requests.</param>
/// <param name="settings">Which ModelScope, and as whom.</param>
internal sealed class ModelScopeClient(RemoteHttp http, ModelScopeSettings settings)
{
    /// <summary>The branch that is meant where none is named.</summary>
    public const string MainRevision = "master";

    /// <summary>Asks for the files of a revision.</summary>
    /// <param name="model">The model, <c>owner/name</c>.</param>
    /// <param name="revision">A branch or tag.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="RemoteException">It is not to be had, or names in it lead where they must not.</exception>
    public async Task<IReadOnlyList<ModelScopeFile>> ListAsync(string model, string revision, CancellationToken cancellationToken)
    {
        var request = RequestOf(model, $"repo/files?Revision={Uri.EscapeDataString(revision)}&Recursive=True");
        var name = RemoteName.Of(request.Address);
        using var document = await RemoteJson.ReadAsync(http, request, response => Refusal(response, model, revision), cancellationToken).ConfigureAwait(false);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("Data", out var data) || data.ValueKind != JsonValueKind.Object
            || !data.TryGetProperty("Files", out var files) || files.ValueKind is not (JsonValueKind.Array or JsonValueKind.Null))
        {
            throw new RemoteException(RemoteFailure.Network, name, $"the answer has no list of files{(root.Text("Message") is { } said ? $": {Quoted.Name(said)}" : "")}. Is this ModelScope?");
        }

        return files.ValueKind == JsonValueKind.Null ? [] : Read(files, name);
    }

    /// <summary>A file for reading ranges; nothing is asked yet. It is pinned to what answers first.</summary>
    public IRemoteObject Known(string model, string revision, ModelScopeFile file) => HttpObject.Known(http, RequestOf(model, revision, file), file.Length, etag: null);

    /// <summary>A file for downloading: the server is asked whether it gives ranges.</summary>
    public async Task<IRemoteObject> OpenAsync(string model, string revision, ModelScopeFile file, CancellationToken cancellationToken)
    {
        if (file.Length == 0)
        {
            return Known(model, revision, file);
        }

        var opened = await HttpObject.OpenAsync(http, RequestOf(model, revision, file), cancellationToken).ConfigureAwait(false);
        return opened.Length == file.Length
            ? opened
            : throw new RemoteException(
                RemoteFailure.Corrupt,
                opened.Name,
                string.Create(CultureInfo.InvariantCulture, $"{Quoted.Name(file.Path)} is listed with {file.Length} bytes, and the server that gives them says {opened.Length}. Try again."));
    }

    /// <summary>What a file that is missing is told as.</summary>
    public static RemoteException MissingFile(string model, string revision, string path) =>
        new(RemoteFailure.EntryMissing, $"ms://{model}", $"there is no file {Quoted.Name(path)} at the revision {Quoted.Name(revision)}. Check the name.");

    private static List<ModelScopeFile> Read(JsonElement files, string name)
    {
        if (files.GetArrayLength() > RemoteJson.MaximumFiles)
        {
            throw new RemoteException(RemoteFailure.Network, name, $"the model has {files.GetArrayLength()} files, and at most {RemoteJson.MaximumFiles} are read.");
        }

        var read = new List<ModelScopeFile>();
        var paths = new HashSet<string>(StringComparer.Ordinal);
        foreach (var file in files.EnumerateArray())
        {
            if (file.Text("Type") == "tree" || file.Text("Path") is not { } path)
            {
                continue;
            }

            HubName.CheckPath(path, name);
            if (!paths.Add(path))
            {
                throw new RemoteException(RemoteFailure.Network, name, $"the list has {Quoted.Name(path)} twice, so that nobody knows which of them is meant.");
            }

            if (!file.TryGetProperty("Size", out var size) || size.ValueKind != JsonValueKind.Number || !size.TryGetInt64(out var length) || length < 0)
            {
                throw new RemoteException(RemoteFailure.Network, name, $"the list does not say how long {Quoted.Name(path)} is.");
            }

            RemoteJson.CheckLength(length, path, name);
            var hash = file.Text("Sha256")?.ToLowerInvariant();
            read.Add(new ModelScopeFile(path, length, hash is not null && ContentDigest.KindOf(hash) == ContentDigestKind.Sha256 ? hash : null));
        }

        return read;
    }

    private static RemoteException Refusal(HttpResponseMessage response, string model, string revision)
    {
        var address = RemoteName.Of(response.RequestMessage!.RequestUri!);
        var status = RemoteHttp.Describe(response);
        return response.StatusCode switch
        {
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new(
                RemoteFailure.Unauthorized, address, $"ModelScope refuses it ({status}). Set MODELSCOPE_API_TOKEN to a token of an account that may see ms://{model}."),
            HttpStatusCode.NotFound or HttpStatusCode.Gone => new(
                RemoteFailure.RepositoryMissing, address, $"there is no model ms://{model} with the revision {Quoted.Name(revision)} ({status}). Check both names."),
            _ => new(RemoteFailure.Network, address, $"ModelScope answers {status}."),
        };
    }

    private RemoteRequest RequestOf(string model, string revision, ModelScopeFile file) =>
        RequestOf(model, $"repo?Revision={Uri.EscapeDataString(revision)}&FilePath={Uri.EscapeDataString(file.Path)}");

    // Its library sends the token as the cookie of a session.
    private RemoteRequest RequestOf(string model, string rest) => new(HttpMethod.Get, RemoteSetting.Below(settings.Endpoint, $"api/v1/models/{model}/{rest}"))
    {
        SecretHeaders = settings.Token is { } token ? [new("Cookie", $"m_session_id={token}")] : [],
    };
}
